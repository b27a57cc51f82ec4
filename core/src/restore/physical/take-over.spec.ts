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
    const names = (await readdir(join(dbPath, 'state'))).sort()
    const [name] = names
    await writeFile(join(dbPath, 'state', `${name}.new`), 'half of')
    const read = await file.read()
    assert.deepEqual((await readdir(join(dbPath, 'state'))).sort(), names)
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
        const journal = { phase: 'started', server: { dbPath } } as TakeOverJournal
        await file.write(journal)
        const context = { uri: '', startCommand: undefined, file, log: new RecordedLog(), clock: systemClock }
        await new TakeOver(context, journal).finish({ isDecided })
        assert.equal(existsSync(join(old, 'storage.bson')), !isDecided)
        assert.equal(await file.read(), undefined)
      },
    )
  }

  const memberIn = async (phase: TakeOverJournal['phase'], nodes: string[]) => {
    const file = new JournalFile(join(dbPath, 'state'), 'key')
    const server = { dbPath, path: '/mongod', port: 1, mongodOpts: {} }
    const program = { path: '/bin/true', argv: ['true'], cwd: '/' }
    const party = { rs: 'rs0', node: 'h:1', nodes }
    const journal = {
      phase,
      server,
      program,
      party,
      lastWrite: new Timestamp({ t: 7, i: 3 }),
    } as unknown as TakeOverJournal
    await file.write(journal)
    // Nobody serves there, and the server that is to begin can't: what has been done before is looked at.
    const context = { uri: '', startCommand: 'exit 1', file, log: new RecordedLog(), clock: systemClock }
    return { file, takeOver: new TakeOver(context, journal) }
  }

  it('and the restored ones stay where this member has served these, and no other does', async () => {
    const { file, takeOver } = await memberIn('started', ['h:1'])
    await writeFile(join(dbPath, 'storage.bson'), 'new')
    await takeOver.begin()
    assert.ok(existsSync(join(dbPath, 'storage.bson')))
    assert.equal(await file.read(), undefined)
  })

  it('are moved aside for a member that begins anew, which is written down before', async () => {
    const { file, takeOver } = await memberIn('down', ['h:1', 'h:2'])
    await writeFile(join(dbPath, 'storage.bson'), 'old')
    const phases: string[] = []
    const write = file.write.bind(file)
    file.write = async (journal) => {
      phases.push(`${journal.phase}: ${existsSync(join(dbPath, 'storage.bson')) ? 'there' : 'aside'}`)
      await write(journal)
    }
    await assert.rejects(takeOver.begin(), { code: 'SERVER_START' })
    assert.deepEqual(phases, ['aside: there', 'empty: aside'])
    assert.ok(existsSync(join(restoreFolders(dbPath).old, 'storage.bson')))
  })

  it('come back also where one of them was never moved', async () => {
    const { takeOver } = await memberIn('undo', ['h:1'])
    const { old, fresh } = restoreFolders(dbPath)
    for (const folder of [old, fresh]) await mkdir(folder, { recursive: true })
    for (const name of ['storage.bson', 'a.wt']) await writeFile(join(dbPath, name), 'in place')
    for (const name of ['storage.bson', 'b.wt']) await writeFile(join(fresh, name), 'new')
    await writeFile(join(old, 'b.wt'), 'old')
    await assert.rejects(takeOver.goBack(), { code: 'SERVER_START' })
    const there = ['a.wt', 'b.wt', 'storage.bson'].map((name) => existsSync(join(dbPath, name)))
    assert.deepEqual(there, [false, true, true])
  })

  it('are in place already where it was killed before the first was moved', async () => {
    const { file, takeOver } = await memberIn('aside', ['h:1'])
    await writeFile(join(dbPath, 'storage.bson'), 'old')
    await assert.rejects(takeOver.goBack(), { code: 'SERVER_START' })
    assert.ok(existsSync(join(dbPath, 'storage.bson')))
    assert.equal((await file.read())?.phase, 'back')
  })
})
