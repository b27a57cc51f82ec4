import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TestServer } from './minio.support.js'

const run = promisify(execFile)
const MIB = 1024 ** 2
const SCRIPT = fileURLToPath(new URL('./memory.support.js', import.meta.url))

describe('storage-s3 moves 1 GiB', () => {
  const server = new TestServer()
  let options: string
  before(async function () {
    await server.start(this)
    options = JSON.stringify(await server.bucket())
  })
  after(() => server.stop())

  for (const way of ['up', 'down']) {
    it(`${way} in less than 100 MiB of memory`, async function () {
      this.timeout(600_000)
      const { stdout } = await run(process.execPath, [SCRIPT, options, way])
      const grown = Number(stdout)
      assert.ok(grown < 100 * MIB, `it grew by ${Math.round(grown / MIB)} MiB`)
    })
  }
})
