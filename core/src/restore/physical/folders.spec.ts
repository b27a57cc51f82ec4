import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { deserialize } from 'bson'
import {
  barServers,
  ENGINE_FILE,
  moveAside,
  moveBack,
  placeFiles,
  refuseTakenPlaces,
  removeServerFiles,
  restoreFolders,
  serverEntries,
} from './folders.js'

const LAYOUT = { directoryPerDB: true, directoryForIndexes: true }

describe('the folders of a physical restore', () => {
  let dbPath: string
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(dbPath, path)), { recursive: true })
    await writeFile(join(dbPath, path), text)
  }
  const SERVER = [
    'WiredTiger',
    'WiredTiger.turtle',
    'WiredTigerHS.wt',
    'a-1.wt',
    'journal',
    'mongod.lock',
    'shop',
    'storage.bson',
  ]
  const OTHERS = ['.hidden', 'keyfile', 'mongod.log', 'notes']
  beforeEach(async () => {
    dbPath = await mkdtemp(join(tmpdir(), 'pbmkit-folders-'))
    for (const name of SERVER) if (!['journal', 'shop'].includes(name)) await put(name, 'old')
    await put('journal/WiredTigerLog.1', 'old')
    await put('shop/collection/7.wt', 'old')
    for (const name of OTHERS) await put(name, 'not of the server')
  })
  afterEach(() => rm(dbPath, { recursive: true, force: true }))
  const text = (path: string) => readFile(join(dbPath, path), 'utf8')
  const entries = async (folder: string) => (await readdir(folder)).sort()

  it('take what the server has made, and nothing else', async () => {
    assert.deepEqual((await serverEntries(dbPath, LAYOUT)).sort(), SERVER)
  })

  it('change places, back too, wherever it was broken off', async () => {
    const folders = restoreFolders(dbPath)
    await put('.pbmkit-restore/new/WiredTiger', 'new')
    await put('.pbmkit-restore/new/b-2.wt', 'new')
    await put('.pbmkit-restore/new/storage.bson', 'new')
    await mkdir(folders.old, { recursive: true })
    // As a process leaves it that is killed in the middle.
    await put('.pbmkit-restore/old/z-9.wt', 'old')
    await moveAside(folders, LAYOUT, async () => undefined)
    await moveAside(folders, LAYOUT, async () => undefined)
    assert.deepEqual(await entries(folders.old), [...SERVER, 'z-9.wt'])
    const barred = ['.hidden', '.pbmkit-restore', 'keyfile', 'mongod.log', 'notes', 'storage.bson']
    assert.deepEqual(await entries(dbPath), barred)
    await placeFiles(folders)
    await placeFiles(folders)
    for (const name of ['WiredTiger', 'storage.bson']) assert.equal(await text(name), 'new')
    await barServers(folders)
    await removeServerFiles(dbPath, LAYOUT, new Set([ENGINE_FILE]))
    assert.deepEqual(await entries(dbPath), barred)
    await moveBack(folders, LAYOUT)
    await moveBack(folders, LAYOUT)
    assert.deepEqual((await serverEntries(dbPath, LAYOUT)).sort(), [...SERVER, 'z-9.wt'])
    for (const name of ['WiredTiger', 'storage.bson']) assert.equal(await text(name), 'old')
    assert.equal(await text('notes'), 'not of the server')
  })

  it('are nothing for a server to begin with before all are in place', async () => {
    const folders = restoreFolders(dbPath)
    await mkdir(folders.old, { recursive: true })
    const engine = async () => deserialize(await readFile(join(dbPath, ENGINE_FILE))).storage.engine
    const before = async () => {
      assert.match(await engine(), /restore of pbmkit/)
      assert.equal(await text('WiredTiger'), 'old')
    }
    await moveAside(folders, LAYOUT, before)
    assert.match(await engine(), /restore of pbmkit/)
    // A server that has begun all the same.
    await put('WiredTiger', 'of nobody')
    await moveAside(folders, LAYOUT, async () => undefined)
    await put('journal/WiredTigerLog.1', 'of nobody')
    await moveBack(folders, LAYOUT)
    for (const name of ['WiredTiger', 'journal/WiredTigerLog.1', 'storage.bson']) assert.equal(await text(name), 'old')
  })

  it('leave to people what is theirs', async () => {
    await refuseTakenPlaces(dbPath, ['WiredTiger', 'shop/collection/7.wt', 'new/1.wt'], LAYOUT)
    await assert.rejects(refuseTakenPlaces(dbPath, ['WiredTiger', 'notes/1.wt'], LAYOUT), { code: 'PLACE_TAKEN' })
  })

  it("leave folders to people where the server makes none, or which are a dbPath's copy", async () => {
    await put('copy/WiredTiger', 'of somebody')
    await put('copy/1.wt', 'of somebody')
    await put('collection/1.wt', 'old')
    const names = async (layout: Partial<typeof LAYOUT>) => {
      const found = await serverEntries(dbPath, { directoryPerDB: false, directoryForIndexes: false, ...layout })
      return found.filter((name) => ['collection', 'copy', 'shop'].includes(name)).sort()
    }
    assert.deepEqual(await names({}), [])
    assert.deepEqual(await names({ directoryForIndexes: true }), ['collection'])
    assert.deepEqual(await names({ directoryPerDB: true }), ['collection', 'shop'])
    const paths = ['shop/1.wt']
    const layout = { directoryPerDB: false, directoryForIndexes: false }
    await assert.rejects(refuseTakenPlaces(dbPath, paths, layout), { code: 'PLACE_TAKEN' })
  })

  it('never get a new file into the place of another', async () => {
    await put('.pbmkit-restore/new/a-1.wt', 'new')
    await put('.pbmkit-restore/new/0.wt', 'new')
    await assert.rejects(placeFiles(restoreFolders(dbPath)), { code: 'PLACE_TAKEN' })
    assert.equal(await text('a-1.wt'), 'old')
    assert.ok(!(await entries(dbPath)).includes('0.wt'))
  })
})
