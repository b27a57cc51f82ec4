import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import type { BackupDocument } from '../control/backup-document.js'
import type { BackupVerification, Damage } from '../control/verification-document.js'
import { isKeyObject } from '../encryption/key-objects.js'
import { loadWrappingKey } from '../encryption/load-key.js'
import { signedText, signingKey } from '../encryption/record-signature.js'
import { storeOf } from '../encryption/sealed-store.js'
import { hasCode } from '../plugin/errors.js'
import { allOrFirstError } from '../restore/data/snapshot.js'
import { damaged, objectError } from '../restore/data/stored-objects.js'
import { isOwnRecord } from '../store/layout/backup-metadata.js'
import { backupFolder, backupMetadataName } from '../store/layout/names.js'
import { isLegacyArchive } from '../store/layout/pbm-version.js'
import { readRecordText } from '../store/layout/read-record.js'
import type { OpenStore } from '../store/open-store.js'
import { verifyChain } from './chain.js'
import type { PartContext, QueuedObject, VerifyContext } from './context.js'
import { verifyDump } from './dump.js'
import { verifyFiles } from './files.js'
import { Findings, type Look } from './findings.js'

/**
 * Reads one backup through, as far as the sample goes, with nothing but the storage. Rejects with faults that say nothing of
 * the backup: a storage that does not answer, the signal's reason.
 */
export async function verifyBackup(
  name: string,
  context: VerifyContext,
): Promise<BackupVerification & { readonly more: number }> {
  const { store, signal, progress } = context
  const findings = new Findings(signal, (bytes) => progress.add(0, bytes))
  const object = backupMetadataName(name)
  const read = await findings.look({ object }, () => readBackup(name, context))
  if (read !== undefined) {
    findings.seenWhole(Buffer.byteLength(read.text))
    await findings.look({ object }, () => requireSignature(name, read.text, context))
    await verifyParts(read.record, findings, context)
  }
  const { damages, unread, notes, more, looked } = findings
  const verified = { name, damages, unread, notes, more, ...looked, ...restorableOf(damages, read?.record.type) }
  if (findings.result !== 'damaged') return { ...verified, result: findings.result }
  // A deletion begins with the record.
  const isGone = read !== undefined && (await isMissing(store, object, signal))
  return { ...verified, result: isGone ? 'gone' : 'damaged' }
}

/** The record, which has the checksums of all else. */
async function readBackup(name: string, { store, signal }: VerifyContext) {
  const object = backupMetadataName(name)
  const { text, record } = await readRecordText(store, object, { signal }).catch((error: unknown) => {
    throw objectError(error, object)
  })
  // Archives of before may have been renamed by hand.
  if (record.name !== name && !isLegacyArchive(record.pbm_version))
    throw damaged(`${object} is the record of backup ${JSON.stringify(record.name)}`)
  if (isOwnRecord(record) && !text.includes('"checksum"')) throw damaged(`${object} is altered: its checksum is gone`)
  if (!KNOWN_TYPES.has(record.type)) throw damaged(`${object} names the unknown type ${JSON.stringify(record.type)}`)
  if (record.status !== 'done') throw damaged(`${object} is of a backup that did not end: ${record.status}`)
  if (record.replsets.length === 0) throw damaged(`${object} names no replica set`)
  return { text, record }
}

const KNOWN_TYPES: ReadonlySet<string> = new Set(['logical', 'physical', 'incremental', 'external'])

async function requireSignature(name: string, text: string, { store, ciphers, signal }: VerifyContext): Promise<void> {
  if (signedText(text) === undefined || (await signingKey(store, ciphers, name, text, { signal })) !== undefined) return
  throw damaged(`${backupMetadataName(name)} is altered, and no longer what was signed`)
}

async function verifyParts(backup: BackupDocument, findings: Findings, context: VerifyContext): Promise<void> {
  const { host, ciphers, signal, progress } = context
  const record = backupMetadataName(backup.name)
  const compression = await findings.look({ object: record }, () => host.compression(backup.compression))
  if (compression === undefined) return
  const sizes = new Map<string, number>()
  for await (const { name, size } of context.store.list({ prefix: backupFolder(backup.name), signal }))
    sizes.set(name, size)
  const queue = new ObjectQueue(findings, sizes, context)
  const part: PartContext = {
    ...{ backup, compression, findings, signal, known: queue.known },
    store: storeOf(context.store, ciphers, backup),
    queue: (about, read) => queue.add(about, read),
  }
  for (const replset of backup.replsets) {
    if (backup.type === 'logical') await verifyDump(replset, part)
    else if (backup.type !== 'external') await verifyFiles(replset, part)
  }
  await verifyChain(backup, findings, context)
  await verifyKeys(backup, findings, sizes, context)
  progress.phase(`backup ${backup.name}`, { bytes: queue.bytes, documents: 0 })
  await queue.run()
  for (const name of sizes.keys()) {
    if (!queue.known.has(name) && !isKeyObject(name)) findings.note(`${name} is in the folder, and not of the backup`)
  }
}

/** The objects of a backup, to be looked at a few at a time. */
class ObjectQueue {
  /** To be read. */
  bytes = 0
  readonly known = new Set<string>()
  readonly #tasks: (() => Promise<unknown>)[] = []
  readonly #findings: Findings
  readonly #sizes: ReadonlyMap<string, number>
  readonly #context: VerifyContext

  constructor(findings: Findings, sizes: ReadonlyMap<string, number>, context: VerifyContext) {
    this.#findings = findings
    this.#sizes = sizes
    this.#context = context
  }

  add({ size, ...about }: QueuedObject, read: (look: Look) => Promise<void>): void {
    const { object } = about
    const listed = this.#sizes.get(object)
    const isRead = this.#context.sample(object)
    this.known.add(object)
    if (isRead) this.bytes += listed ?? size ?? 0
    const work = async (look: Look) => {
      // Layouts of before have objects at the root.
      const found = listed ?? (await this.#sizeOf(object))
      this.#findings.seen(found)
      if (found === 0) throw damaged(`${object} is empty`)
      if (isRead) await read(look)
      // Which bytes are missing or too many tells more, where they are read.
      else if (size !== undefined && found !== size) throw damaged(`${object} has ${found} bytes instead of ${size}`)
    }
    this.#tasks.push(() => this.#findings.look(about, work))
  }

  async run(): Promise<void> {
    const limit = pLimit(Math.max(2, Math.min(4, availableParallelism())))
    const running = this.#tasks.map((task) => limit(async () => void (await task())))
    await allOrFirstError(running, () => limit.clearQueue())
  }

  async #sizeOf(object: string): Promise<number> {
    const { store, signal } = this.#context
    try {
      return (await store.stat(object, { signal })).size
    } catch (error) {
      throw objectError(error, object)
    }
  }
}

/** Each of them opens something, though no object may need it just now. */
async function verifyKeys(
  { replsets, signature }: BackupDocument,
  findings: Findings,
  sizes: ReadonlyMap<string, number>,
  { store, ciphers, signal }: VerifyContext,
): Promise<void> {
  const [signer] = (signature ?? '').split(':')
  for (const [object, size] of sizes) {
    if (!isKeyObject(object)) continue
    const segments = object.split('/')
    const rs = segments.length > 3 ? segments[1] : undefined
    const method = rs === undefined ? signer : replsets.find((part) => part.name === rs)?.encryption?.type
    if (method === undefined || method === '') continue
    await findings.look({ object, rs }, async () => {
      findings.seenWhole(size)
      await loadWrappingKey(store, object, await ciphers.method(method), { signal })
    })
  }
}

async function isMissing(store: OpenStore, object: string, signal: AbortSignal): Promise<boolean> {
  try {
    await store.stat(object, { signal })
    return false
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND')) return true
    throw error
  }
}

/** Pure. A damaged collection costs that collection; a list, an oplog or a key costs all that rests on it. */
export function restorableOf(
  damages: readonly Damage[],
  type: BackupDocument['type'] | undefined,
): Pick<BackupVerification, 'restorable' | 'lost'> {
  if (damages.length === 0) return { restorable: type === undefined ? 'none' : 'all', lost: [] }
  const isPart = type === 'logical' && damages.every(({ ns }) => ns !== undefined)
  if (!isPart) return { restorable: 'none', lost: [] }
  return { restorable: 'part', lost: [...new Set(damages.flatMap(({ ns }) => ns ?? []))].sort() }
}
