import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Timestamp } from 'bson'
import { systemClock } from '../../time/clock.js'
import { RecordedLog } from '../restore.support.js'
import { restoreFolders } from './folders.js'
import { JournalFile, type TakeOverJournal } from './journal.js'
import { TakeOver } from './take-over.js'

describe('the old files of a member that has the restored ones', () => {
  let dbPath: string
  beforeEach(async () => {
    dbPath = await mkdtemp(join(tmpdir(), 'pbmkit-take-over-'))
  })
  afterEach(() => rm(dbPath, { recursive: true }))

  it('are known again after a death, by what is written down of them', async () => {
    const file = new JournalFile(join(dbPath, 'state'), 'key')
    const server = { dbPath, path: '/mongod', port: 1, mongodOpts: {} }
    const lastWrite = new Timestamp({ t: 7, i: 3 })
    await file.write({ phase: 'aside', server, lastWrite, oplog: undefined } as TakeOverJournal)
    const [name] = await readdir(join(dbPath, 'state'))
    await writeFile(join(dbPath, 'state', `${name}.new`), 'half of')
    const read = await file.read()
    assert.deepEqual(await readdir(join(dbPath, 'state')), [name])
    assert.deepEqual([read?.phase, read?.lastWrite, read?.oplog], ['aside', lastWrite, undefined])
  })

  for (const isDecided of [true, false]) {
    it(
      isDecided ? 'go when all stay with these' : 'stay where nobody has said that: the others may go back',
      async () => {
        const { old } = restoreFolders(dbPath)
        await mkdir(old, { recursive: true })
        await writeFile(join(old, 'storage.bson'), 'old')
        const file = new JournalFile(join(dbPath, 'state'), 'key')
        const journal = { phase: 'started', server: { dbPath }, keepOldFiles: false } as TakeOverJournal
        await file.write(journal)
        const context = { uri: '', startCommand: undefined, file, log: new RecordedLog(), clock: systemClock }
        await new TakeOver(context, journal).finish({ isDecided })
        assert.equal(existsSync(join(old, 'storage.bson')), !isDecided)
        assert.equal(await file.read(), undefined)
      },
    )
  }
})
