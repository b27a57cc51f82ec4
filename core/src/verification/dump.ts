import type { NamespaceMetadata, PackedBytes } from '../archive/metadata.js'
import { Tally } from '../archive/tally.js'
import { countDocuments } from '../bson/documents.js'
import type { BackupReplset } from '../control/backup-document.js'
import { none } from '../plugin-host/none.js'
import { objectOfNamespace, openDump, packedOf, type Snapshot } from '../restore/data/snapshot.js'
import { checkedDocuments, damaged, isMissing, verifyPacked } from '../restore/data/stored-objects.js'
import { crossCheckList } from '../restore/verify/cross-check.js'
import { refuseInvalidNamespaces } from '../restore/verify/namespaces.js'
import { metaPbmName } from '../store/layout/names.js'
import { isLegacyArchive } from '../store/layout/pbm-version.js'
import type { PartContext } from './context.js'
import type { Look } from './findings.js'
import { verifyOplog } from './oplog.js'

/** One replica set's part of a logical backup, in any layout. */
export async function verifyDump(replset: BackupReplset, part: PartContext): Promise<void> {
  const { store, backup, compression, findings, signal, known, queue } = part
  const [rs, list] = [replset.name, replset.dump_name ?? '']
  const oplog = (await verifyOplog(replset, part)) ?? []
  const about = { object: list, rs }
  const dump = await findings.look(about, () => openDump({ store, backup, replset, compression, oplog }, { signal }))
  known.add(list)
  // PBM's, for what it makes the list from: no restore reads it.
  known.add(metaPbmName(backup.name, rs))
  const packed = new Map((replset.objects ?? []).map((object) => [object.name, packedOf(object)]))
  const isSealed = replset.encryption !== undefined
  if (isLegacyArchive(backup.pbm_version)) {
    if (dump === undefined) return
    const size = isSealed ? undefined : packed.get(list)?.size
    queue({ object: list, rs, size }, ({ onBytes }) => dump.verifyNamespaces({ width: 1, onBytes, signal }))
    return
  }
  for (const [object, { size, crc }] of packed) {
    if (object === list && dump !== undefined) findings.seenWhole(size)
    if (object === list) continue
    queue({ object, rs, size: isSealed ? undefined : size }, ({ onBytes }) =>
      verifyPacked({ store, object, packed: { size, crc } }, { onBytes, signal }),
    )
  }
  if (dump === undefined) return
  await findings.look(about, () => requireList(dump, replset, part))
  for (const namespace of dump.namespaces) {
    if (namespace.size === 0) continue
    const { db, collection } = namespace
    const object = objectOfNamespace(namespace, list, compression.suffix)
    const size = isSealed ? undefined : storedBytes(namespace, compression.name)?.size
    queue({ object, rs, ns: `${db}.${collection}`, size }, (look) => readDocuments(object, namespace, part, look))
  }
}

/** The list makes sense, and fits what else tells of the namespaces where it has no checksum. */
async function requireList(dump: Snapshot, replset: BackupReplset, part: PartContext): Promise<void> {
  const { store, compression, signal, findings } = part
  await refuseInvalidNamespaces(dump.namespaces)
  const sealed = replset.encryption?.objects
  const stored = dump.namespaces.filter(({ size }) => size > 0).length
  if (sealed !== undefined && sealed !== stored)
    throw damaged(`${replset.dump_name} has ${stored} namespaces with documents, and the record says ${sealed}`)
  if (replset.objects !== undefined || replset.encryption !== undefined) return
  const warn = (text: string) => findings.note(text)
  const listed = { list: replset.dump_name ?? '', suffix: compression.suffix, signal, warn }
  await crossCheckList(store, dump, listed).catch((error: unknown) => {
    // Told of the object itself.
    if (!isMissing(error)) throw error
  })
}

function storedBytes(namespace: NamespaceMetadata, compression: string): PackedBytes | undefined {
  return compression === none.name ? namespace : namespace.packed
}

async function readDocuments(
  object: string,
  namespace: NamespaceMetadata,
  { store, compression, signal }: PartContext,
  { onBytes }: Look,
): Promise<void> {
  const tally = new Tally()
  let count = 0
  const onStored = ({ length }: Uint8Array) => onBytes(length)
  for await (const documents of checkedDocuments({ store, object, compression, namespace }, { signal, onStored })) {
    tally.add(documents)
    if (namespace.count !== undefined) count += countDocuments(documents)
  }
  if (tally.crc !== namespace.crc) throw damaged(`${object} is altered: the checksum of its documents is wrong`)
  if (namespace.count !== undefined && count !== namespace.count)
    throw damaged(`${object} has ${count} documents instead of ${namespace.count}`)
}
