import { type MongoClient, Timestamp } from 'mongodb'
import { Tally } from '../archive/tally.js'
import { documentsIn, wholeDocuments } from '../bson/documents.js'
import { BSON_TIMESTAMP, findField } from '../bson/elements.js'
import { deleteChecksums, storeChecksum } from '../catalog/chunk-checksums.js'
import type { Barrier, PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { findLastChunk, insertChunk, listChunksFrom } from '../control/pitr-chunks.js'
import { isKeyObjectGone, isUnopened } from '../encryption/ciphers.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { barriersIn } from '../oplog/reading/find-barriers.js'
import { beginWithInitiation } from '../oplog/reading/initiation.js'
import { hasCode } from '../plugin/errors.js'
import type { ObjectInfo, ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { compressionBySuffix } from '../plugin-host/naming.js'
import { type PitrChunkName, parsePitrChunkName, pitrChunkName } from '../store/layout/names.js'

export interface RecoverOptions {
  readonly leader: MongoClient
  readonly store: ObjectStore
  readonly host: PluginHost
  readonly rs: string
  /** Where slicing would begin. */
  readonly start: Timestamp
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/**
 * A slicer killed between storing a chunk and listing it leaves an object that nobody knows of. Stored again with
 * another end, it would lie beside its double, and the next resync would list both. So the whole ones that begin where
 * slicing goes on are listed now, and the broken ones are deleted. Gives where slicing begins after that.
 */
export async function recoverChunks(options: RecoverOptions): Promise<Timestamp> {
  const { store, rs, log, signal } = options
  for (let start = options.start; ; ) {
    const found: { object: ObjectInfo; name: PitrChunkName }[] = []
    for await (const object of store.list({ prefix: prefixOf(rs, start), signal })) {
      const name = parsePitrChunkName(object.name)
      if (name?.end.greaterThan(start)) found.push({ object, name })
    }
    // The longest first; what is inside it goes.
    found.sort((a, b) => b.name.end.compare(a.name.end))
    let next: Timestamp | undefined
    for (const { object, name } of found) {
      const whole = next === undefined ? await readWhole(object, name, options) : undefined
      if (whole !== undefined) {
        const { size, name: fname } = object
        const compression = compressionBySuffix(fname)
        const sealed = name.encryption === undefined ? {} : { encryption: name.encryption }
        const told = { rs, fname, compression, start_ts: start, end_ts: name.end }
        const chunk = { ...told, size, ...sealed, ...whole }
        // It may have died before that.
        await storeChecksum(store, chunk, { log, signal })
        await insertChunk(options.leader, chunk)
        next = name.end
        log.info(`listed chunk ${fname}, which a slicer stored before it died`)
      } else {
        await store.delete(object.name, { signal })
        await deleteChecksums(store, object.name, { signal })
        log.info(`deleted ${object.name}, which a slicer left when it died`)
      }
    }
    if (next === undefined) return start
    start = next
  }
}

/**
 * Whoever goes on from the last chunk has to see it: else the new ones would be at another place than those before. Throws
 * `CHUNK_ELSEWHERE`.
 */
export async function requireLastChunk({ leader, store, rs, signal }: Omit<RecoverOptions, 'start'>): Promise<void> {
  const last = await findLastChunk(leader, rs)
  if (last === undefined) return
  await store.stat(last.fname, { signal }).catch((error: unknown) => {
    if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
    throw new PbmError('CHUNK_ELSEWHERE', `the last chunk ${last.fname} is not on the storage as this member sees it`, {
      hint: 'Does each member see the same storage? If chunks were deleted on purpose: pbm config --force-resync',
    })
  })
}

/**
 * A slicer that lost its lock while it stored a chunk leaves that unlisted. Once its successor has listed the chunk that
 * begins at the same entry, the other can go.
 */
export async function deleteStrays(
  { leader, store, log, signal }: Pick<RecoverOptions, 'leader' | 'store' | 'log' | 'signal'>,
  { rs, start }: { readonly rs: string; readonly start: Timestamp },
): Promise<void> {
  const listed = new Set((await listChunksFrom(leader, rs, start)).map(({ fname }) => fname))
  for await (const { name } of store.list({ prefix: prefixOf(rs, start), signal })) {
    if (listed.has(name) || parsePitrChunkName(name) === undefined) continue
    await store.delete(name, { signal })
    await deleteChecksums(store, name, { signal })
    log.info(`deleted ${name}, which a slicer stored after it lost its lock`)
  }
}

/** Up to the end, a name is made of where the chunk begins. */
function prefixOf(rs: string, start: Timestamp): string {
  return pitrChunkName(rs, start, start, '').replace(/[^.]*\.oplog$/, '')
}

/**
 * Reads it through: it must decompress, hold entries of its time only, and end with the one that it is named by. Gives
 * its checksum then, and what a slicer notes beside it.
 */
async function readWhole(
  object: ObjectInfo,
  { start, end }: PitrChunkName,
  { store, host, signal }: RecoverOptions,
): Promise<Pick<PitrChunkDocument, 'crc' | 'storedCrc' | 'barriers' | 'fromNothing'> | undefined> {
  try {
    const compression = await host.compression(compressionBySuffix(object.name))
    const [plain, packed] = [new Tally(), new Tally()]
    let last: Timestamp | undefined
    let fromNothing: boolean | undefined
    const barriers: Barrier[] = []
    const stored = packed.through(await store.read(object.name, { signal }))
    for await (const documents of wholeDocuments(compression.decompress(stored))) {
      fromNothing ??= beginWithInitiation(documents)
      plain.add(documents)
      for (const entry of documentsIn(documents)) {
        const ts = findField(entry, 'ts')
        if (ts?.type !== BSON_TIMESTAMP) return undefined
        last = new Timestamp(entry.readBigUInt64LE(ts.value))
        if (last.lessThan(start)) return undefined
        barriers.push(...barriersIn(entry))
      }
    }
    if (last?.equals(end) !== true) return undefined
    return {
      crc: plain.crcText(),
      // A codec may stop at its own end mark; of a sealed object the size is another one.
      ...(packed.size === object.size ? { storedCrc: packed.crcText() } : {}),
      ...(barriers.length === 0 ? {} : { barriers }),
      ...(fromNothing === true ? { fromNothing } : {}),
    }
  } catch (error) {
    signal.throwIfAborted()
    // It came after its key was deleted, since nobody was slicing any more: nobody can ever open it.
    if (isKeyObjectGone(error)) return undefined
    // Who seals need not be able to open. No storage shows a part of an object, so it is whole.
    if (isUnopened(error)) return {}
    if (isDamage(error)) return undefined
    throw error
  }
}

/** Anything else, such as a storage that does not answer, says nothing about the object. */
function isDamage(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^(CODEC_|BSON_|ENCRYPTION_TAMPERED$|STORAGE_EMPTY$)/.test(code)
}
