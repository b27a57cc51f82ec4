import { mkdir, readdir, rm } from 'node:fs/promises'
import type { Timestamp } from 'mongodb'
import type { RestoreDocument } from '../../control/restore-document.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { connectNode, greetNode } from '../../mongo/connect.js'
import type { Clock } from '../../time/clock.js'
import { moveServerFiles, placeFiles, type RestoreFolders, removeServerFiles, restoreFolders } from './folders.js'
import type { JournalFile, TakeOverJournal, TakeOverPhase } from './journal.js'
import { awaitServer, endServerOf, startServer, stopServer } from './server-program.js'
import { giveIdentity, type KeptDocuments } from './standalone.js'

/** How long a server may take to serve, and a replica set to have a primary that has written to the majority. */
const SERVE_MS = 300_000
const MAJORITY_MS = 180_000
const STOP_MS = 60_000

/** The old files are all aside. */
const PLACED: ReadonlySet<TakeOverPhase> = new Set(['placing', 'placed', 'started'])

export interface TakeOverContext {
  /** Of the mongod beside this agent. */
  readonly uri: string
  /** This machine's own: how mongod is started. */
  readonly startCommand: string | undefined
  readonly file: JournalFile
  readonly log: OperationLog
  readonly clock: Clock
}

/**
 * One member's part of a physical restore from the moment that its server ends: files change places, and each step is written
 * down before it is done, so that whoever comes after a death goes on or back. The old files go when the new ones have proven
 * themselves.
 */
export class TakeOver {
  readonly #context: TakeOverContext
  readonly #folders: RestoreFolders
  readonly #kept: KeptDocuments | undefined
  #journal: TakeOverJournal

  constructor(context: TakeOverContext, journal: TakeOverJournal, kept?: KeptDocuments) {
    this.#context = context
    this.#journal = journal
    this.#kept = kept
    this.#folders = restoreFolders(journal.server.dbPath)
  }

  get phase(): TakeOverPhase {
    return this.#journal.phase
  }

  /** Ends the server, whose files stay as they are. */
  async takeDown(): Promise<void> {
    await this.#reach('down')
    await this.#stop()
    this.#context.log.info('the mongod has ended')
  }

  /** Puts the new files into place, and starts the server on them. Goes on from the phase it was broken off in. */
  async goForward(): Promise<void> {
    const { log } = this.#context
    const { server, lastWrite, replset } = this.#journal
    if (this.phase === 'down') await this.#reach('aside')
    if (this.phase === 'aside') {
      await moveServerFiles(this.#folders.dbPath, this.#folders.old)
      await this.#reach('placing')
    }
    if (this.phase === 'placing') {
      await placeFiles(this.#folders)
      await this.#reach('placed')
    }
    if (this.phase === 'placed') {
      log.info('the files of the backup are in place')
      await this.#endLeftover()
      await giveIdentity(server, { replset, lastWrite, kept: this.#kept })
      await this.#reach('started')
    }
    await this.#start()
  }

  /** Waits until the majority has what the restored replica set writes. Nothing of that needs a password. */
  async awaitMajority(signal?: AbortSignal): Promise<void> {
    const { lastWrite } = this.#journal
    const isThere = async () => {
      const { isWritablePrimary, secondary, lastWrite: written } = await greetNode(this.#context.uri)
      const ts: Timestamp | undefined = written?.majorityOpTime?.ts
      return (isWritablePrimary === true || secondary === true) && ts?.greaterThan(lastWrite) === true
    }
    await awaitServer('the restored replica set has no majority that writes', isThere, MAJORITY_MS, signal)
  }

  /** The old files come back, and the server with them. */
  async goBack(): Promise<void> {
    const { log } = this.#context
    const { dbPath, old } = this.#folders
    if (PLACED.has(this.phase)) {
      await this.#stop()
      await this.#reach('undo')
    }
    if (this.phase === 'undo') {
      await removeServerFiles(dbPath)
      await this.#reach('back')
    }
    if (this.phase === 'aside') await this.#reach('back')
    if (this.phase === 'back') await moveServerFiles(old, dbPath)
    await this.#start()
    await this.#end()
    log.warning('the old files are in place again, and the mongod runs on them')
  }

  /** The others have the new files and go on: this member gets its own from them. The old files stay aside. */
  async begin(): Promise<void> {
    if (this.phase !== 'empty') {
      await this.#stop()
      if (this.phase === 'down' || this.phase === 'aside')
        await moveServerFiles(this.#folders.dbPath, this.#folders.old)
      else await removeServerFiles(this.#folders.dbPath)
      await this.#reach('empty')
    }
    await rm(this.#folders.fresh, { recursive: true, force: true })
    await this.#start()
    await this.#context.file.remove()
    this.#context.log.warning(
      `this member begins anew and gets the data from the others; its old files are in ${this.#folders.old}`,
    )
  }

  /** The new files have proven themselves. */
  async finish(): Promise<void> {
    const { keepOldFiles } = this.#journal
    if (keepOldFiles) {
      await this.#context.file.remove()
      this.#context.log.info(`the old files are kept in ${this.#folders.old}`)
    } else await this.#end()
  }

  async #end(): Promise<void> {
    // First: what follows may be repeated by hand, and must not be taken for something to go on with.
    await this.#context.file.remove()
    await rm(this.#folders.work, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) =>
      this.#context.log.warning(`${this.#folders.work} can't be removed: ${errorText(error)}`),
    )
  }

  async #reach(phase: TakeOverPhase): Promise<void> {
    this.#journal = { ...this.#journal, phase }
    await this.#context.file.write(this.#journal)
  }

  async #start(): Promise<void> {
    const { startCommand, uri, log } = this.#context
    if (await this.#isUp()) return
    await startServer(this.#journal.program, startCommand)
    await awaitServer('the mongod does not serve', async () => (await greetNode(uri)) !== undefined, SERVE_MS)
    log.info('the mongod runs again')
  }

  /** Whether one runs is found out by asking it: a service manager may have started it. */
  async #stop(): Promise<void> {
    if (await this.#isUp()) {
      const { uri, log } = this.#context
      try {
        const client = await connectNode(uri, { appName: 'pbm-agent' })
        await stopServer(client, this.#folders.dbPath, undefined).finally(() => client.close().catch(() => undefined))
      } catch (error) {
        // The users of the backup may be others.
        log.warning(`the mongod is told to end by a signal: ${errorText(error)}`)
      }
    }
    await this.#endLeftover()
  }

  /** A server of ours, on these files, that nobody can reach. */
  async #endLeftover(): Promise<void> {
    const { program, server } = this.#journal
    await endServerOf(server.dbPath, program.path)
    await awaitServer('the mongod still serves', async () => !(await this.#isUp()), STOP_MS)
  }

  async #isUp(): Promise<boolean> {
    return await greetNode(this.#context.uri).then(
      () => true,
      () => false,
    )
  }
}

export interface Recovered {
  readonly record: RestoreDocument
  readonly status: 'done' | 'partlyDone' | 'error'
  readonly error?: string
}

/** What is done for a member whose agent was killed in the middle: nobody of the others can be asked. */
export async function recoverTakeOver(context: TakeOverContext): Promise<Recovered | undefined> {
  const journal = await context.file.read()
  if (journal === undefined) return undefined
  const { log } = context
  const { record } = journal
  log.warning(`restore ${record.name} was broken off here in phase ${journal.phase}`)
  const takeOver = new TakeOver(context, journal)
  const broken = 'its agent was killed in the middle'
  if (journal.phase === 'empty') {
    await takeOver.begin()
    return { record, status: 'partlyDone', error: broken }
  }
  const back = async (error: string): Promise<Recovered> => {
    await takeOver.goBack()
    return { record, status: 'error', error }
  }
  if (!PLACED.has(journal.phase)) return await back(broken)
  // The others have gone on or back meanwhile. Where no majority has the new identity, they have gone back.
  try {
    await takeOver.goForward()
    await takeOver.awaitMajority()
    await takeOver.finish()
    return { record, status: 'done' }
  } catch (error) {
    log.error(`the new files can't be used: ${errorText(error)}`)
    return await back(errorText(error))
  }
}

/** Throws RESTORE_LEFT where another restore has left old files, which must not be lost. */
export async function prepareFolders(dbPath: string): Promise<RestoreFolders> {
  const folders = restoreFolders(dbPath)
  const kept = await readdir(folders.old).catch(() => [])
  if (kept.length > 0) {
    throw new PbmError('RESTORE_LEFT', `${folders.old} has the files from before another restore`, {
      hint: 'Look whether they are still needed, and remove the folder',
    })
  }
  await rm(folders.work, { recursive: true, force: true })
  await mkdir(folders.fresh, { recursive: true, mode: 0o700 })
  return folders
}
