import { readdir, rm } from 'node:fs/promises'
import type { MongoClient, Timestamp } from 'mongodb'
import { type FileLayout, layoutOf } from '../../backup/physical/layout.js'
import { awaitServer, endServerOf, startServer, stopServer } from '../../backup/physical/server-program.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { connectNode, greetNode } from '../../mongo/connect.js'
import { serverOptions } from '../../mongo/server-options.js'
import { parseUri } from '../../mongo/uri.js'
import type { Clock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { acceptFiles, type ExternalFiles, removeCompanions } from './brought-files.js'
import {
  barServers,
  ENGINE_FILE,
  makeFolder,
  moveAside,
  moveBack,
  namesIn,
  placeFiles,
  type RestoreFolders,
  removeServerFiles,
  restoreFolders,
} from './folders.js'
import { giveIdentity } from './identity.js'
import type { JournalFile, TakeOverJournal, TakeOverPhase } from './journal.js'

/** How long a server may take to serve, and a replica set to have a primary that has written to the majority. */
const SERVE_MS = 300_000
const MAJORITY_MS = 180_000
const STOP_MS = 60_000
/** How long the others may take to have a primary again. */
const ELECTION_MS = 60_000
const ELECTION_POLL_MS = 1_000

/** The old files are all aside. */
const PLACED: ReadonlySet<TakeOverPhase> = new Set(['waiting', 'placing', 'placed', 'started'])

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
  readonly #layout: FileLayout
  #journal: TakeOverJournal

  constructor(context: TakeOverContext, journal: TakeOverJournal) {
    this.#context = context
    this.#journal = journal
    this.#folders = restoreFolders(journal.server.dbPath)
    this.#layout = layoutOf(journal.server.mongodOpts)
  }

  get phase(): TakeOverPhase {
    return this.#journal.phase
  }

  /** Somebody has decided that, and the agent was killed before it was done. */
  get isGoingBack(): boolean {
    return this.phase === 'undo' || this.phase === 'back'
  }

  /** The same of {@link begin}. */
  get isBeginning(): boolean {
    return this.phase === 'emptying' || this.phase === 'empty'
  }

  /** Ends the server, whose files stay as they are: the old one, or what a machine that booted has started meanwhile. */
  async takeDown(): Promise<void> {
    if (this.phase === 'started') return
    await this.#stop()
    this.#context.log.info('the mongod has ended')
  }

  /** Puts the new files into place. Goes on from the phase it was broken off in. */
  async place(): Promise<void> {
    const { log } = this.#context
    const { server, lastWrite, replset, kept, oplog, sharding } = this.#journal
    if (this.phase === 'down') await this.#reach('aside')
    if (this.phase === 'aside') {
      await moveAside(this.#folders, this.#layout, () => this.#stop())
      await this.#reach('placing')
    }
    if (this.phase === 'placing') {
      await placeFiles(this.#folders)
      await this.#reach('placed')
    }
    if (this.phase === 'placed') {
      log.info('the files of the backup are in place')
      const entries = oplog === undefined ? undefined : this.#folders.oplog
      await giveIdentity(server, { replset, lastWrite, kept, sharding, oplog: entries })
    }
  }

  /** Moves the old files aside: then somebody else may copy others into their place. Goes on where it was broken off. */
  async empty(): Promise<void> {
    if (this.phase === 'down') await this.#reach('aside')
    if (this.phase !== 'aside') return
    await moveAside(this.#folders, this.#layout, () => this.#stop())
    await this.#reach('waiting')
  }

  /**
   * Takes what somebody has copied. Goes on where it was broken off.
   *
   * @param agree told the last write of the files, gives the one that all members are to have, where nothing says it
   */
  async accept(external: ExternalFiles, agree: (top: Timestamp) => Promise<Timestamp>): Promise<void> {
    const { dbPath, work } = this.#folders
    const { server, replset, kept, sharding } = this.#journal
    if (this.phase === 'waiting') {
      const known = await acceptFiles(dbPath, this.#layout, external)
      if (known !== undefined) this.#journal = { ...this.#journal, lastWrite: known }
      await this.#reach('placed')
    }
    if (this.phase !== 'placed') return
    this.#context.log.info('the files that were copied are in place')
    await removeCompanions(dbPath)
    // Whoever has put another volume there has taken it away.
    await makeFolder(work)
    let { lastWrite } = this.#journal
    const decide = async (top: Timestamp) => {
      if (lastWrite.isZero()) lastWrite = await agree(top)
      return lastWrite
    }
    await giveIdentity(server, { replset, lastWrite: decide, kept, sharding, oplog: undefined })
    this.#journal = { ...this.#journal, lastWrite }
  }

  /** Starts the server on the new files, and waits until the majority has what the restored replica set writes. */
  async serve(): Promise<void> {
    const { lastWrite } = this.#journal
    if (this.phase !== 'started') await this.#reach('started')
    await this.#start()
    // Nothing of that needs a password.
    const isThere = async () => {
      const { isWritablePrimary, secondary, lastWrite: written } = await greetNode(this.#context.uri)
      const ts: Timestamp | undefined = written?.majorityOpTime?.ts
      return (isWritablePrimary === true || secondary === true) && ts?.greaterThan(lastWrite) === true
    }
    await awaitServer(
      'the restored replica set has no majority that writes',
      isThere,
      MAJORITY_MS + replayMs(this.#journal),
    )
  }

  /** The old files come back, and the server with them. */
  async goBack(): Promise<void> {
    const { log } = this.#context
    const { dbPath, fresh, old } = this.#folders
    if (PLACED.has(this.phase) && !(await namesIn(old)).includes(ENGINE_FILE)) {
      await this.#context.file.remove()
      log.error(`${old} has no old files to go back to: was another volume put there? Nothing is changed there`)
      return
    }
    if (this.phase !== 'down') await this.#stop()
    if (PLACED.has(this.phase)) await this.#reach('undo')
    if (this.phase === 'undo') {
      // A file whose new one has not been placed, and which is not aside either, is the old one itself.
      const aside = await namesIn(old)
      const kept = (await namesIn(fresh)).filter((name) => !aside.includes(name))
      await barServers(this.#folders)
      await removeServerFiles(dbPath, this.#layout, new Set([...kept, ENGINE_FILE]))
      if (this.#journal.external !== undefined) await removeCompanions(dbPath)
      await this.#reach('back')
    }
    if (this.phase === 'aside') await this.#reach('back')
    // None is aside where it was killed before the first.
    if (this.phase === 'back' && (await namesIn(old)).length > 0) await moveBack(this.#folders, this.#layout)
    await this.#start()
    if ((await namesIn(old)).length > 0) {
      await this.#context.file.remove()
      log.warning(`the mongod runs, and ${old} has files of before: look whether they are needed`)
      return
    }
    await this.#end()
    log.warning('the old files are in place again, and the mongod runs on them')
  }

  /**
   * The others have the new files and go on: this member gets its own from them. The old files stay aside. Files that it has
   * served before are only given up where another member serves.
   */
  async begin(): Promise<void> {
    if (this.phase === 'started' && !(await this.#othersServe())) {
      this.#context.log.error('no other member can be seen to be the primary: the restored files stay as they are')
      await this.finish({ isDecided: false })
      return
    }
    if (this.phase !== 'empty') {
      await this.#stop()
      if (this.phase === 'down') await this.#reach('aside')
      if (this.phase === 'aside') await moveAside(this.#folders, this.#layout, () => this.#stop())
      else await this.#reach('emptying')
      await removeServerFiles(this.#folders.dbPath, this.#layout)
      await this.#reach('empty')
    }
    await rm(this.#folders.fresh, { recursive: true, force: true })
    await this.#start()
    await this.#context.file.remove()
    this.#context.log.warning(
      `this member begins anew and gets the data from the others; its old files are in ${this.#folders.old}`,
    )
  }

  /** The new files have proven themselves. Where nobody has said that all stay with them, the others may go back. */
  async finish({ isDecided }: { readonly isDecided: boolean }): Promise<void> {
    if (!isDecided) {
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
    const timeoutMs = SERVE_MS + replayMs(this.#journal)
    await startServer(this.#journal.program, startCommand, timeoutMs)
    await awaitServer('the mongod does not serve', async () => (await greetNode(uri)) !== undefined, timeoutMs)
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

  /** Whether another member is the primary: there is no other one to begin anew from for sure. */
  async #othersServe(): Promise<boolean> {
    const { node, nodes } = this.#journal.party
    const others = nodes.filter((name) => name !== node)
    if (others.length === 0) return false
    const isPrimary = async (host: string) => {
      const target = parseUri(this.#context.uri)
      target.hosts = [host]
      const { isWritablePrimary, setName } = await greetNode(target.toString())
      return isWritablePrimary === true && setName === this.#journal.party.rs
    }
    const look = async () => {
      const found = await Promise.all(others.map((host) => isPrimary(host).catch(() => false)))
      return found.includes(true)
    }
    const { clock } = this.#context
    return (await until(look, { clock, everyMs: ELECTION_POLL_MS, timeoutMs: ELECTION_MS })) === true
  }

  async #isUp(): Promise<boolean> {
    return await greetNode(this.#context.uri).then(
      () => true,
      () => false,
    )
  }
}

/** How long a server may take for what it has to apply at its start, in milliseconds: many times what was measured. */
export function replayMs({ oplog }: Pick<TakeOverJournal, 'oplog'>): number {
  return oplog === undefined ? 0 : oplog.entries + oplog.bytes / 1_000
}

/**
 * At the start of an agent that has nothing to go on with: what a restore had fetched before it was killed is of no use. An agent
 * whose user may not ask for the options of its server has never made any.
 */
export async function removeFetched(node: MongoClient): Promise<void> {
  const options = await serverOptions(node).catch(() => undefined)
  if (options === undefined) return
  const { fresh, oplog } = restoreFolders(options.dbPath)
  await Promise.all([fresh, oplog].map((path) => rm(path, { recursive: true, force: true })))
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
  await makeFolder(folders.fresh)
  return folders
}
