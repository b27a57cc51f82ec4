import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { EntriesFile } from '../../backup/physical/entries.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ListedFile } from '../../store/layout/file-list.js'
import { FaultyStore } from '../../store/wrappers/faulty-store.support.js'
import { fetchFiles } from './fetch.js'
import { makeFolder, moveAside, moveBack, placeFiles, removeServerFiles, restoreFolders } from './folders.js'
import { JournalFile, type TakeOverJournal } from './journal.js'
import { plannedFiles } from './planned-files.js'
import { syncedBy } from './synced.support.js'

const LAYOUT = { directoryPerDB: true, directoryForIndexes: false }
const PLAIN = { decompress: (source: AsyncIterable<Uint8Array>) => source, suffix: '' } as CompressionPlugin

/** What is not brought to the disk is lost there, or comes back in another order than it was done in. */
describe('a power cut in a physical restore', () => {
  let dbPath: string
  beforeEach(async () => {
    dbPath = await mkdtemp(join(tmpdir(), 'pbmkit-power-'))
  })
  afterEach(() => rm(dbPath, { recursive: true }))
  const put = async (...paths: string[]) => {
    for (const path of paths) {
      await mkdir(dirname(join(dbPath, path)), { recursive: true })
      await writeFile(join(dbPath, path), path)
    }
  }
  /** Relative paths; of folders with what was in them. */
  const synced = async (work: () => Promise<unknown>) =>
    (await syncedBy(work)).map(({ path, names }) => {
      const short = path === dbPath ? '.' : path.startsWith(dbPath) ? path.slice(dbPath.length + 1) : path
      return names === undefined ? short : `${short}: ${names.join(' ')}`
    })

  it('finds the state as it was last written, and where it was made', async () => {
    const file = new JournalFile(join(dbPath, 'a', 'state'), 'h:1')
    assert.deepEqual(await synced(() => file.write({ phase: 'down' } as TakeOverJournal)), [
      'a: state',
      '.: a',
      'a/state/restore-h_1.json.reserve',
      'a/state/restore-h_1.json.new',
      'a/state: restore-h_1.json restore-h_1.json.reserve',
    ])
    assert.deepEqual(await synced(() => file.remove()), ['a/state: '])
  })

  it('finds what was fetched before it is said to be here', async () => {
    const store = new FaultyStore()
    const files: ListedFile[] = ['WiredTiger', 'shop/1.wt'].map((filename) => {
      store.put(`b/rs0/${filename}`, Buffer.from('bytes'))
      return { filename, offset: 0, length: 0, fileSize: 5, mode: 0o600, storedSize: 5 }
    })
    const { signal } = new AbortController()
    const backup = { name: 'b' } as BackupDocument
    const from = { store, backup, part: { name: 'rs0' } as BackupReplset, compression: PLAIN, signal }
    const { fresh, oplog } = restoreFolders(dbPath)
    const made = await synced(() => makeFolder(fresh))
    assert.deepEqual(made, ['.pbmkit-restore: new', '.: .pbmkit-restore'])
    const planned = plannedFiles([{ from, files }])
    const fetched = await synced(() => fetchFiles(planned, { folder: fresh, parallel: 1, progress: undefined, signal }))
    const below = '.pbmkit-restore/new'
    assert.deepEqual(fetched.slice(0, 2).sort(), [`${below}/WiredTiger`, `${below}/shop/1.wt`])
    assert.deepEqual(fetched.slice(2).sort(), [`${below}/shop: 1.wt`, `${below}: WiredTiger shop`].sort())
    const entries = await EntriesFile.create(oplog, 0n)
    assert.deepEqual(await synced(() => entries.close()), ['.pbmkit-restore/oplog.bson'])
  })

  it('finds files where they are said to be', async () => {
    const folders = restoreFolders(dbPath)
    await put('WiredTiger', 'storage.bson', 'shop/1.wt')
    for (const name of ['WiredTiger', 'storage.bson', 'cart/2.wt']) await put(`.pbmkit-restore/new/${name}`)
    const [work, old] = ['.pbmkit-restore', '.pbmkit-restore/old']
    assert.deepEqual(await synced(() => moveAside(folders, LAYOUT, async () => undefined)), [
      `${work}: new old`,
      `${work}/engine.bson`,
      `${old}: storage.bson`,
      `${work}/no-engine.bson`,
      `.: ${work} WiredTiger shop storage.bson`,
      `${old}: WiredTiger shop storage.bson`,
      `.: ${work} storage.bson`,
    ])
    assert.deepEqual(await synced(() => placeFiles(folders)), [
      `.: ${work} WiredTiger cart storage.bson`,
      `${work}/new: storage.bson`,
      `.: ${work} WiredTiger cart storage.bson`,
      `${work}/new: `,
    ])
    assert.deepEqual(await synced(() => removeServerFiles(dbPath, LAYOUT)), [`.: ${work}`])
    // Nothing above the dbPath: it may be nobody's to read.
    assert.deepEqual(await synced(() => moveBack(folders, LAYOUT)), [
      `.: ${work} WiredTiger shop`,
      `${old}: storage.bson`,
      `.: ${work} WiredTiger shop storage.bson`,
      `${old}: `,
    ])
  })
})
