import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EJSON } from 'bson'
import type { Document, Timestamp } from 'mongodb'
import type { ServerProgram } from '../../backup/physical/server-program.js'
import type { StandaloneOptions } from '../../backup/physical/standalone.js'
import type { Config } from '../../config/document.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import { PbmError } from '../../errors.js'
import type { TakeOverParty } from './announce.js'
import type { ExternalFiles } from './brought-files.js'
import { makeFolder, syncFolder } from './folders.js'
import type { KeptDocuments, ShardingIdentity } from './identity.js'
import type { KeptOplog } from './oplog-file.js'

/**
 * How far a member is with taking over the files of a backup. `down`: its server ends, or has ended, on the old files.
 * `aside`: the old files are being moved aside. `waiting`: somebody copies files into their place. `placing`: the new ones take their place; `placed`: they have it, and may have
 * their identity. `started`: the server is to run on them. `undo`: they are being removed again. `back`: the old ones come back. The others went on without it:
 * `emptying`: the new files are being removed; `empty`: the server begins anew with nothing.
 */
export type TakeOverPhase =
  | 'down'
  | 'aside'
  | 'waiting'
  | 'placing'
  | 'placed'
  | 'started'
  | 'undo'
  | 'back'
  | 'emptying'
  | 'empty'

/**
 * What it takes to go on after this process was killed. The configuration is in it, with its secrets: there may be no database
 * then that has it. Whoever can read the file can read that in the files of the server, too.
 */
export interface TakeOverJournal {
  readonly phase: TakeOverPhase
  readonly party: TakeOverParty
  readonly config: Config
  readonly kept: KeptDocuments
  /** Of the restore, as it began. */
  readonly record: RestoreDocument
  readonly program: ServerProgram
  readonly server: StandaloneOptions
  /** The document of the replica set's configuration. */
  readonly replset: Document
  /** The last write that the restored data have. */
  readonly lastWrite: Timestamp
  /** What leads there from the end of the files; undefined where nothing is needed. */
  readonly oplog: Pick<KeptOplog, 'entries' | 'bytes'> | undefined
  readonly sharding: ShardingIdentity | undefined
  /** False: all members get the new files, or all go back. */
  readonly allowPartlyDone: boolean
  /** Set where somebody brings the files; what `lastWrite` is may be known only then. */
  readonly external?: ExternalFiles | undefined
}

/** What all members wait for before the first of them ends its server: then each has what it needs. */
export function goState({ external }: { readonly external?: unknown }): 'running' | 'copyDone' {
  return external === undefined ? 'copyDone' : 'running'
}

/** What is kept free, of what is to be written. */
const RESERVED_TIMES = 3

/** On this machine, outside of the dbPath: who reads it may not be able to ask the server where that is. */
export class JournalFile {
  readonly #folder: string
  readonly #path: string

  /** `key` tells the servers of a machine apart. */
  constructor(folder: string, key: string) {
    this.#folder = folder
    this.#path = join(folder, `restore-${key.replace(/[^A-Za-z0-9.-]+/g, '_')}.json`)
  }

  async write(journal: TakeOverJournal): Promise<void> {
    await makeFolder(this.#folder)
    const text = EJSON.stringify(journal, { relaxed: false, ignoreUndefined: true })
    // On a disk that has become full meanwhile, the way back has to be written down, too.
    if (!existsSync(this.#path))
      await writeFile(this.#reserve, randomBytes(RESERVED_TIMES * text.length), { mode: 0o600, flush: true })
    try {
      await this.#replace(text)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      await rm(this.#reserve, { force: true })
      await this.#replace(text)
    }
    await syncFolder(this.#folder)
  }

  async #replace(text: string): Promise<void> {
    await writeFile(this.#temporary, text, { mode: 0o600, flush: true })
    await rename(this.#temporary, this.#path)
  }

  get #reserve(): string {
    return `${this.#path}.reserve`
  }

  get #temporary(): string {
    return `${this.#path}.new`
  }

  async read(): Promise<TakeOverJournal | undefined> {
    // Of who was killed while he wrote it: the one before counts.
    await rm(this.#temporary, { force: true })
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) {
      await rm(this.#reserve, { force: true })
      return undefined
    }
    try {
      return EJSON.parse(text, { relaxed: true }) as TakeOverJournal
    } catch (cause) {
      throw new PbmError('JOURNAL_INVALID', `${this.#path} can't be read: a restore was broken off here`, {
        hint: 'The old files are in .pbmkit-restore/old of the dbPath, the new ones in .pbmkit-restore/new or in their place',
        cause,
      })
    }
  }

  async remove(): Promise<void> {
    for (const path of [this.#path, this.#reserve]) await rm(path, { force: true })
    // What it would go on with is removed next.
    if (existsSync(this.#folder)) await syncFolder(this.#folder)
  }
}
