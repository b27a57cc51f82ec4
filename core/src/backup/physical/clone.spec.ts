import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileClone } from './clone.js'

const BLOCK = 1024 * 1024
const LAYOUT = { directoryPerDB: true, directoryForIndexes: false }

describe('the copy of the files', () => {
  let dbPath: string
  const long = new Date(1_700_000_000_000)
  const put = async (path: string, bytes: Buffer | string) => {
    await writeFile(join(dbPath, path), bytes)
    await utimes(join(dbPath, path), long, long)
  }
  beforeEach(async () => {
    dbPath = await mkdtemp(join(tmpdir(), 'pbmkit-clone-'))
    for (const name of ['storage.bson', 'WiredTiger', 'mongod.lock', 'notes.txt']) await put(name, name)
    await put('large.wt', Buffer.alloc(2 * BLOCK + 5, 'a'))
  })
  afterEach(() => rm(dbPath, { recursive: true, force: true }))
  const { signal } = new AbortController()
  const copied = (clone: FileClone, path: string) => readFile(join(clone.folder, path))

  it('is what the files are under the lock, whatever they were before', async () => {
    await put('shrinks.wt', Buffer.alloc(BLOCK + 1, 'b'))
    await put('vanishes.wt', 'gone')
    const clone = new FileClone(dbPath, LAYOUT, signal)
    await clone.prepare()
    const changed = Buffer.concat([Buffer.alloc(BLOCK, 'a'), Buffer.alloc(BLOCK, 'c'), Buffer.alloc(9, 'd')])
    await writeFile(join(dbPath, 'large.wt'), changed)
    await writeFile(join(dbPath, 'shrinks.wt'), 'b')
    await rm(join(dbPath, 'vanishes.wt'))
    await writeFile(join(dbPath, 'new.wt'), 'new')
    await writeFile(join(dbPath, 'WiredTiger.backup'), 'the cursor')
    const files = await clone.take(signal)
    const names = ['WiredTiger', 'WiredTiger.backup', 'large.wt', 'new.wt', 'shrinks.wt', 'storage.bson']
    assert.deepEqual(
      files.map(({ path }) => path),
      names,
    )
    assert.ok((await copied(clone, 'large.wt')).equals(changed))
    assert.equal(String(await copied(clone, 'shrinks.wt')), 'b')
    assert.equal(String(await copied(clone, 'new.wt')), 'new')
    await clone.remove()
  })

  it('follows links to other places', async () => {
    const other = await mkdtemp(join(tmpdir(), 'pbmkit-other-'))
    await writeFile(join(other, 'collection-1.wt'), 'elsewhere')
    await symlink(other, join(dbPath, 'shop'))
    await put('WiredTiger.backup', 'the cursor')
    const clone = new FileClone(dbPath, LAYOUT, signal)
    await clone.prepare()
    const files = await clone.take(signal)
    assert.ok(files.some(({ path }) => path === 'shop/collection-1.wt'))
    assert.equal(String(await copied(clone, 'shop/collection-1.wt')), 'elsewhere')
    await rm(other, { recursive: true })
  })

  it('has databases of any name, and nothing that its server has not made', async () => {
    const databases = ['.228.184.173.230.150.135', 'my.45db', 'journal', '_tmp']
    for (const folder of [...databases, 'copied', 'diagnostic.data', '.mine']) {
      await mkdir(join(dbPath, folder))
      await put(`${folder}/collection-1.wt`, folder)
    }
    await put('copied/WiredTiger', 'a dbPath')
    await put('WiredTiger.backup', 'the cursor')
    const clone = new FileClone(dbPath, LAYOUT, signal)
    await clone.prepare()
    const names = (await clone.take(signal)).map(({ path }) => path)
    assert.deepEqual(
      names.filter((path) => path.includes('/')),
      databases.map((folder) => `${folder}/collection-1.wt`).sort(),
    )
  })

  it('is none without the file of the lock', async () => {
    const clone = new FileClone(dbPath, LAYOUT, signal)
    await clone.prepare()
    await assert.rejects(clone.take(signal), { code: 'FILES_CHANGED' })
  })

  it('ends when the lock does', async () => {
    await put('WiredTiger.backup', 'the cursor')
    await mkdir(join(dbPath, '.pbmkit'), { recursive: true })
    const clone = new FileClone(dbPath, LAYOUT, signal)
    await clone.prepare()
    await assert.rejects(clone.take(AbortSignal.abort(new Error('lost'))), /lost/)
  })
})
