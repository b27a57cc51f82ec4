import {
  type BackupDocument,
  filelistName,
  findBackup,
  openStore,
  PbmError,
  readStoredFileList,
  rfc3339,
  setBackupStatus,
  storageOfBackup,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { Document, MongoClient } from 'mongodb'
import { requireBackup } from '../find-backup.js'
import type { Run, Session } from '../session.js'
import { waitForCopyReady } from '../wait/backup.js'

/** `pbm backup-finish NAME`: the files of an external backup are copied (PBM: physical.md §2.5). */
export function backupFinishCommand(run: Run): Command {
  return new Command('backup-finish')
    .description('say that the files of an external backup are copied: the members are unlocked, and it is done')
    .argument('<name>', 'name of the backup')
    .action((name: string, _options: object, command: Command) =>
      run(command, async (session) => {
        const leader = await session.leader()
        const backup = await requireBackup(leader, name)
        if (backup.type !== 'external')
          throw new PbmError(
            'NOT_EXTERNAL',
            `backup ${name} is ${backup.type}: only external ones are finished by hand`,
          )
        await finish(leader, backup)
        const msg = `Backup ${name} is being finished. See how it ends: pbm describe-backup ${name}`
        session.output.result({ msg }, () => msg)
      }),
    )
}

async function finish(leader: MongoClient, { name }: BackupDocument): Promise<void> {
  const refused = (status: string | undefined) =>
    new PbmError(
      'NOT_COPY_READY',
      `backup ${name} is '${status ?? 'gone'}': its files are to be copied only at 'copyReady'`,
      {
        hint: `See pbm describe-backup ${name}.`,
      },
    )
  const before = await findBackup(leader, name)
  if (before?.status !== 'copyReady') throw refused(before?.status)
  try {
    await setBackupStatus(leader, name, 'copyDone', { by: 'operator' })
  } catch (error) {
    // It has ended between the two.
    if (!(error instanceof PbmError) || error.code !== 'TRANSITION_REFUSED') throw error
    throw refused((await findBackup(leader, name))?.status)
  }
}

/** Waits until the files may be copied, and says which ones, where, and for how long. */
export async function tellCopyReady(
  session: Session,
  leader: MongoClient,
  told: { readonly name: string; readonly opid: string },
  { withFiles }: { readonly withFiles: boolean },
): Promise<void> {
  const { name } = told
  const backup = await waitForCopyReady(session, leader, name)
  const lists = withFiles ? await fileLists(session, leader, backup) : new Map<string, string[]>()
  const storage = backup.replsets.map(({ name: replset, node, mongod_opts }) => {
    const dbPath = String((mongod_opts?.storage as Document | undefined)?.dbPath ?? '')
    const files = lists.get(replset)
    return { name: node, replset, dbPath, ...(files === undefined ? {} : { files }) }
  })
  const ends = backup.replsets.map(({ locked_until }) => Number(locked_until ?? 0)).filter((end) => end > 0)
  const lockedUntil = ends.length === 0 ? undefined : rfc3339(Math.min(...ends))
  session.output.result({ ...told, status: backup.status, storage, lockedUntil }, () =>
    [
      `The files of backup ${name} are ready to be copied from:`,
      ...storage.flatMap(({ name: host, dbPath, files = [] }) => [
        `  ${host}  ${dbPath}`,
        ...files.map((file) => `    ${file}`),
      ]),
      ...(lockedUntil === undefined
        ? []
        : [
            `It is locked until you finish the backup, at the most until ${lockedUntil}: after that there is no backup.`,
          ]),
      `When all is copied: pbm backup-finish ${name}. To give it up: pbm cancel-backup.`,
    ].join('\n'),
  )
}

/** Replica set → paths below the dbPath. */
async function fileLists(
  session: Session,
  leader: MongoClient,
  backup: BackupDocument,
): Promise<Map<string, string[]>> {
  const context = { signal: session.signal, warn: (text: string) => session.output.warn(text) }
  const storage = await storageOfBackup(leader, backup)
  const store = await openStore(session.plugins, storage, context, { mustExist: true })
  try {
    const lists = new Map<string, string[]>()
    for (const { name } of backup.replsets) {
      const files = await readStoredFileList(store, filelistName(backup.name, name), { signal: session.signal })
      lists.set(name, files.map(({ filename }) => filename).sort())
    }
    return lists
  } finally {
    await store.close()
  }
}
