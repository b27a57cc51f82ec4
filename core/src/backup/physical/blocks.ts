import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Tally } from '../../archive/tally.js'
import type { BackupDocument, StoredObject } from '../../control/backup-document.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { WORK_FOLDER } from '../../recovery/forgotten-lock.js'
import { blockIndexName } from '../../store/layout/names.js'
import { BlockIndex, type IndexedFile } from './block-index.js'
import { type DataFile, isSameStamp } from './data-files.js'

/** The backup that an increment is made upon. */
export interface IncrementSource {
  readonly backup: BackupDocument
  /** Its objects are read from it. */
  readonly store: ObjectStore
}

export interface BlocksContext {
  readonly server: ServerOptions
  readonly replset: string
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/** Names that a server makes up: none has one of another server, nor of the same after an initial sync. */
const OWN_NAME = /-[^/]*\.wt$/

/** What an incremental backup knows of blocks: those of its source, and those that it stores. To be removed, however it ends. */
export class Blocks {
  readonly #folder: string
  #before: BlockIndex | undefined
  #now: BlockIndex | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Where the source's can't be had, or is of other files, there are none: then all files are stored whole. */
  static async load(source: IncrementSource | undefined, context: BlocksContext): Promise<Blocks> {
    const { server, log, signal } = context
    const blocks = new Blocks(join(server.dbPath, WORK_FOLDER, 'blocks'))
    await blocks.remove()
    await mkdir(blocks.#folder, { recursive: true })
    if (source === undefined) return blocks
    try {
      blocks.#before = await blocks.#fetch(source, context)
    } catch (error) {
      signal.throwIfAborted()
      log.warning(
        `all files are stored: what backup ${source.backup.name} has of them is not known: ${errorText(error)}`,
      )
    }
    return blocks
  }

  async #fetch({ backup, store }: IncrementSource, { replset, signal }: BlocksContext): Promise<BlockIndex> {
    const object = blockIndexName(backup.name, replset)
    const known = backup.replsets.find(({ name }) => name === replset)?.objects?.find(({ name }) => name === object)
    if (known === undefined) throw new PbmError('BACKUP_DAMAGED', `${object} is not in the record`)
    const path = join(this.#folder, 'before')
    const tally = new Tally()
    // It goes beside live data.
    const bounded = async function* () {
      for await (const bytes of tally.through(await store.read(object, { signal }))) {
        if (tally.size > Number(known.size)) throw new PbmError('BACKUP_DAMAGED', `${object} is longer than it was`)
        yield bytes
      }
    }
    await pipeline(bounded(), createWriteStream(path, { mode: 0o600 }), { signal })
    if (known.crc !== tally.crcText())
      throw new PbmError('BACKUP_DAMAGED', `${object} is altered: its checksum is wrong`)
    return await BlockIndex.open(path)
  }

  /** Those of the source; undefined where nothing is compared. */
  get before(): BlockIndex | undefined {
    return this.#before
  }

  /** Whether the source has the file as it is. */
  readonly isStored = (file: Pick<DataFile, 'path' | 'stamp'>): boolean => {
    const known = this.#before?.find(file.path)
    return known?.stamp !== undefined && isSameStamp(known.stamp, file.stamp)
  }

  /** What begins the new index; false where the source is of other files, which is then of no use. */
  async begin(files: readonly IndexedFile[]): Promise<BlockIndex> {
    const paths = new Set(files.map(({ path }) => path))
    const isOfThese = [...(this.#before?.paths ?? [])].some((path) => OWN_NAME.test(path) && paths.has(path))
    if (!isOfThese) {
      await this.#before?.close()
      this.#before = undefined
    }
    this.#now = await BlockIndex.create(join(this.#folder, 'now'), files)
    return this.#now
  }

  async store(store: ObjectStore, object: string, signal: AbortSignal): Promise<StoredObject> {
    const tally = new Tally()
    const path = join(this.#folder, 'now')
    await store.save(object, tally.through(createReadStream(path, { signal })), { signal })
    return { name: object, size: tally.size, crc: tally.crcText() }
  }

  async remove(): Promise<void> {
    await Promise.all([this.#before?.close(), this.#now?.close()])
    this.#before = undefined
    this.#now = undefined
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
