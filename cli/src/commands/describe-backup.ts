import {
  type BackupDocument,
  type BackupReplset,
  Ciphers,
  type Config,
  isLegacyArchive,
  namespaceListName,
  type ObjectStore,
  openStore,
  PbmError,
  readArchive,
  readConfig,
  readDrills,
  readMetadataJsonGently,
  readText,
  rfc3339,
  storageOfBackup,
  storeOf,
} from '@pbmkit/core'
import { Command } from 'commander'
import { requireBackup } from '../find-backup.js'
import { prettySize } from '../output/bytes.js'
import { yamlText } from '../output/yaml.js'
import { sealedState } from '../sealed.js'
import type { Run, Session } from '../session.js'

/** `pbm describe-backup NAME`: YAML for people, the same fields and the raw numbers as JSON. */
export function describeBackupCommand(run: Run): Command {
  return new Command('describe-backup')
    .description('show one backup in detail')
    .argument('<name>', 'name of the backup, as pbm list has it')
    .option('--with-collections', 'with the names of its collections, read from the storage')
    .action((name: string, options: { withCollections?: boolean }, command: Command) =>
      run(command, async (session) => {
        const backup = await requireBackup(await session.leader(), name)
        const collections = options.withCollections === true ? await collectionsOf(session, backup) : new Map()
        const described = describe(backup, collections, await readConfig(await session.leader()))
        session.output.result(described, () => yamlText(withoutRawNumbers(described)))
      }),
    )
}

function describe(backup: BackupDocument, collections: ReadonlyMap<string, string[]>, config: Config | undefined) {
  const own = times(backup)
  return {
    name: backup.name,
    profile: backup.store.name,
    storage_name: backup.store.name,
    storage_type: backup.store.type,
    opid: backup.opid,
    type: backup.type,
    last_write_ts: own.last_write_ts,
    last_transition_ts: own.last_transition_ts,
    last_write_time: own.last_write_time,
    last_transition_time: own.last_transition_time,
    namespaces: backup.nss,
    sel_user_and_roles: backup.sel_users_and_roles === true,
    compression: backup.compression,
    layout: backup.layout,
    ...sealedState(backup, config),
    mongodb_version: backup.mongodb_version,
    fcv: backup.fcv,
    pbm_version: backup.pbm_version,
    status: backup.status,
    ...sizes(backup),
    verification: verified(backup),
    drills: drilled(backup),
    error: backup.error || undefined,
    replsets: backup.replsets.map((replset) => ({
      name: replset.name,
      status: replset.status,
      node: replset.node,
      ...sizes(replset),
      ...times(replset),
      configsvr: replset.iscs,
      configshard: replset.configshard,
      security: (replset.mongod_opts?.security as object | undefined) ?? undefined,
      error: replset.error || undefined,
      transfer: transfer(replset),
      encryption: replset.encryption && { type: replset.encryption.type, key_ids: replset.encryption.keyIds },
      collections: collections.get(replset.name),
    })),
  }
}

function sizes(part: { size: number; size_uncompressed: number }) {
  const size = Number(part.size ?? 0)
  const uncompressed = Number(part.size_uncompressed ?? 0)
  return {
    size,
    size_uncompressed: uncompressed,
    size_h: prettySize(size),
    size_uncompressed_h: prettySize(uncompressed),
  }
}

function verified({ verification }: BackupDocument) {
  if (verification === undefined) return undefined
  const { at, result, readData, by, opid, damages, restorable } = verification
  return { time: rfc3339(Number(at)), result, read_data: readData, by, opid, restorable, damages }
}

function drilled({ drills }: BackupDocument) {
  if (drills === undefined) return undefined
  return readDrills(drills).map(({ at, restoreSeconds, ...drill }) => ({
    ...{ time: rfc3339(at), restore_seconds: restoreSeconds },
    ...drill,
  }))
}

/** What storing it took; PBM's agents do not say. */
function transfer({ transfer }: BackupReplset) {
  if (transfer?.bytes === undefined) return undefined
  const [objects, bytes, millis, retries] = [transfer.objects, transfer.bytes, transfer.millis, transfer.retries].map(
    Number,
  )
  const speed = Math.round(((bytes ?? 0) * 1000) / Math.max(1, millis ?? 0))
  return { objects, bytes, bytes_h: prettySize(bytes ?? 0), millis, speed_h: `${prettySize(speed)}/s`, retries }
}

function times(part: BackupDocument | BackupReplset) {
  const write = part.last_write_ts?.t ?? 0
  const transition = Number(part.last_transition_ts)
  return {
    last_write_ts: write,
    last_transition_ts: transition,
    last_write_time: rfc3339(write),
    last_transition_time: rfc3339(transition),
  }
}

const RAW = ['size', 'size_uncompressed', 'last_write_ts', 'last_transition_ts']

function withoutRawNumbers(described: ReturnType<typeof describe>): object {
  const cut = (value: object) => Object.fromEntries(Object.entries(value).filter(([key]) => !RAW.includes(key)))
  return { ...cut(described), replsets: described.replsets.map(cut) }
}

/** Replica set → its namespaces in order, from the lists beside the data. */
async function collectionsOf(session: Session, backup: BackupDocument): Promise<Map<string, string[]>> {
  if (backup.type !== 'logical')
    throw new PbmError('NO_COLLECTIONS', `a ${backup.type} backup holds files, not collections`)
  const context = { signal: session.signal, warn: (message: string) => session.output.warn(message) }
  const storage = await storageOfBackup(await session.leader(), backup)
  const store = await openStore(session.plugins, storage, context, { mustExist: true })
  const config = await readConfig(await session.leader())
  const opened = storeOf(store, new Ciphers(session.plugins, config?.encryption, context), backup)
  try {
    const found = new Map<string, string[]>()
    for (const replset of backup.replsets) {
      const names = (await namespacesOf(session, opened, backup, replset))
        .filter(({ db, collection }) => db !== '' && collection !== '')
        .map(({ db, collection }) => `${db}.${collection}`)
      found.set(replset.name, names.sort())
    }
    return found
  } finally {
    await store.close()
  }
}

/** From the list beside the data, or from the head of the one archive that older PBM and `backup.layout: archive` write. */
async function namespacesOf(
  session: Session,
  store: ObjectStore,
  backup: BackupDocument,
  replset: BackupReplset,
): Promise<readonly { db: string; collection: string }[]> {
  const { signal } = session
  const object = replset.dump_name ?? namespaceListName(backup.name, replset.name)
  if (!isLegacyArchive(backup.pbm_version))
    return (await readMetadataJsonGently(await readText(store, object, { signal }))).namespaces
  const compression = await session.plugins.compression(backup.compression)
  const archive = await readArchive(compression.decompress(await store.read(object, { signal })))
  await archive.events.return(undefined)
  return archive.namespaces
}
