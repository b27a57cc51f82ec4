import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Standalone, startStandalone } from '@pbmkit/conformance/testbed'
import { serverOptions } from '../../mongo/server-options.js'
import { stopServer } from './server-program.js'

describe('the end of a server', () => {
  let server: Standalone
  let folder: string
  /** A link to its dbPath, as it is often named in a configuration. */
  let dbPath: string
  beforeEach(async () => {
    server = await startStandalone()
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-linked-'))
    dbPath = join(folder, 'data')
    await symlink((await serverOptions(await server.client())).dbPath, dbPath)
  })
  afterEach(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  it('is one by itself, with its files closed', async () => {
    assert.equal(await stopServer(await server.client(), dbPath, server.pid), true)
  })

  it('is seen where it is killed while it is to end', async () => {
    const client = await server.client()
    server.pause()
    let isOver = false
    const stopped = stopServer(client, dbPath, undefined).finally(() => {
      isOver = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isOver, false)
    await server.kill()
    assert.equal(await stopped, false)
  })
})
