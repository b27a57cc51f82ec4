import { Tally } from '../archive/tally.js'
import type { BackupReplset } from '../control/backup-document.js'
import { damaged } from '../restore/data/stored-objects.js'
import { readFilePart } from '../restore/physical/fetch.js'
import { readFileList } from '../restore/physical/listed-files.js'
import { fileObject } from '../store/layout/file-list.js'
import { blockIndexName, filelistName } from '../store/layout/names.js'
import type { PartContext } from './context.js'
import { verifyOplog } from './oplog.js'

/** One replica set's part of a physical backup: its list, every file that has an object, and its oplog where it has one. */
export async function verifyFiles(replset: BackupReplset, part: PartContext): Promise<void> {
  const { store, backup, compression, findings, signal, known, queue } = part
  const [rs, list] = [replset.name, filelistName(backup.name, replset.name)]
  const files = await findings.look({ object: list, rs }, () =>
    readFileList({ store, backup, part: replset, compression, signal }),
  )
  known.add(list)
  const listed = replset.objects?.find(({ name }) => name === list)
  if (files !== undefined && listed !== undefined) findings.seenWhole(listed.size)
  for (const file of files ?? []) {
    // Unchanged since the backup that this one builds on.
    if (file.length < 0) continue
    const object = fileObject(backup.name, rs, file, compression.suffix)
    queue({ object, rs, size: file.storedSize || undefined }, async ({ onBytes }) => {
      const onStored = ({ length }: Uint8Array) => onBytes(length)
      for await (const _ of readFilePart(store, { object, file, compression }, { signal, onStored }));
    })
  }
  verifyBlocks(replset, part)
  if ((replset.oplog_name ?? '') !== '') await verifyOplog(replset, part)
}

/** The hashes that the next increment is compared with, where it is one of ours. */
function verifyBlocks(replset: BackupReplset, { store, backup, signal, queue }: PartContext): void {
  const [rs, object] = [replset.name, blockIndexName(backup.name, replset.name)]
  const listed = replset.objects?.find(({ name }) => name === object)
  if (listed === undefined) return
  // What is sealed is longer on the storage.
  queue({ object, rs }, async ({ onBytes }) => {
    const tally = new Tally()
    for await (const bytes of tally.through(await store.read(object, { signal }))) onBytes(bytes.length)
    if (tally.crcText() !== listed.crc) throw damaged(`${object} is altered: its checksum is wrong`)
  })
}
