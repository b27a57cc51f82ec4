import assert from 'node:assert/strict'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, findMongod, removeTemporaryFolder, temporaryFolder } from './index.js'

async function program(path: string, body: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, `#!/bin/sh\n${body}\n`)
  await chmod(path, 0o755)
  return path
}

describe('findMongod', () => {
  let folder: string
  beforeEach(async () => {
    folder = await temporaryFolder()
  })
  afterEach(() => removeTemporaryFolder(folder))

  it('takes MONGOD_BIN first', async () => {
    const named = await program(join(folder, 'named'), 'exit 0')
    await program(join(folder, 'path', 'mongod'), 'exit 0')
    assert.equal(await findMongod({ env: { MONGOD_BIN: named, PATH: join(folder, 'path') } }), named)
  })

  it('refuses a MONGOD_BIN that does not run instead of taking another', async () => {
    const broken = await program(join(folder, 'broken'), 'echo "libssl.so.3: not found" >&2; exit 127')
    const env = { MONGOD_BIN: broken, PATH: '/usr/bin:/bin' }
    await assert.rejects(findMongod({ env }), /MONGOD_BIN=.*broken is no usable mongod: libssl\.so\.3: not found/)
  })

  it('takes PATH before the cache, and the cache when what is on PATH does not run', async () => {
    const cached = await program(join(folder, 'cache', 'mongod'), 'exit 0')
    const onPath = await program(join(folder, 'path', 'mongod'), 'exit 0')
    const env = { PATH: `${join(folder, 'path')}:/bin`, PBMKIT_CACHE: join(folder, 'cache') }
    assert.equal(await findMongod({ env }), onPath)
    await program(onPath, 'exit 1')
    assert.equal(await findMongod({ env }), cached)
  })

  it('keeps its downloads outside the tree', () => {
    assert.equal(cacheFolder({ PBMKIT_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a')
    assert.equal(cacheFolder({ XDG_CACHE_HOME: '/b' }), '/b/pbmkit')
    assert.match(cacheFolder({}), /\.cache\/pbmkit$/)
  })
})
