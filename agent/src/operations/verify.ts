import {
  type BackupVerification,
  findBackup,
  isChunkListed,
  isMain,
  type ListedStorage,
  listBackupFacts,
  listChunks,
  noteVerification,
  ProgressPublisher,
  profileOf,
  requireKnownStorage,
  requireStorage,
  type StorageConfig,
  sampleOf,
  setVerified,
  type VerifyCommand,
  verifyScopeOf,
  verifyStorage,
} from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'
import { storageOf } from './restore.js'
import { STAND_BACK_MS, standBack } from './stand-back.js'

/** Damages kept in the record of a backup; the report has all. */
const KEPT_DAMAGES = 10

/** Beside a running backup and slicing: nothing is changed but what is noted of it. */
export async function runVerify(context: OperationContext): Promise<void> {
  const { command } = context
  if (command.cmd !== 'verify') return
  const { verify } = command
  const scope = verifyScopeOf(verify)
  if (context.info.isPrimary) await standBack(context, STAND_BACK_MS)
  await onOneLeaderMember(context, 'verify', async (signal, held) => {
    const { storage, profile } = await placeOf(held, verify)
    await withStore(
      { ...held, signal },
      async (store) => {
        const { leader, host, self, clock, opid, log } = held
        // Elsewhere nothing would be there, and all would count as damaged.
        await requireKnownStorage(store, { leader, host, storage, profile }, { signal })
        const about = { opid, replset: self.rs }
        const progress = new ProgressPublisher(clock, (told) => noteVerification(leader, about, { progress: told }))
        const readData = Math.min(100, Math.max(0, Number(verify.readData ?? 100)))
        const report = await verifyStorage(scope, {
          ...{ store, host, ciphers: ciphersOf(held), signal, progress, readData },
          sample: sampleOf(readData, opid),
          listed: await listedOn(held, profile),
          onBackup: (verified) => keep(held, verified, readData),
        })
        await progress.settle()
        await noteVerification(leader, about, { report })
        const text = `verified ${report.backups.length} backups${report.chunks === undefined ? '' : ' and the stored oplog'}`
        if (report.result === 'good') log.info(`${text}: all is right`)
        else log.warning(`${text}: ${report.result}; see pbm verify`)
        log.info('done')
      },
      storage,
    )
  })
}

async function placeOf(
  held: OperationContext,
  { backup = '', profile }: VerifyCommand,
): Promise<{ storage: StorageConfig; profile: string | undefined }> {
  const { leader } = held
  if (backup !== '') {
    const found = await findBackup(leader, backup)
    return { storage: await storageOf(held, backup), profile: found === undefined ? undefined : profileOf(found) }
  }
  const named = isMain(profile) ? undefined : profile
  return { storage: await requireStorage(leader, named), profile: named }
}

/** What the cluster has on the list. */
async function listedOn({ leader }: OperationContext, profile: string | undefined): Promise<ListedStorage> {
  const all = (await listBackupFacts(leader)).filter((one) => one.status === 'done')
  const backups = all.filter(({ store }) => profileOf({ store }) === profile)
  const isListed = async (name: string) => (await findBackup(leader, name))?.status === 'done'
  const chunks = profile === undefined ? await listChunks(leader) : undefined
  return {
    backups: backups.map(({ name }) => name),
    isBackupListed: isListed,
    chunks: chunks && {
      all: new Map(chunks.map(({ barriers: _, ...chunk }) => [chunk.fname, chunk])),
      isListed: (chunk) => isChunkListed(leader, chunk),
    },
  }
}

/** In the record of the backup; one that was deleted meanwhile has none. */
async function keep(
  { leader, self, opid, clock }: OperationContext,
  { name, result, damages, restorable }: BackupVerification,
  readData: number,
): Promise<void> {
  if (result === 'gone') return
  const backup = await findBackup(leader, name)
  if (backup === undefined) return
  await setVerified(leader, backup, {
    ...{ at: Math.floor(clock.now() / 1000), result, readData, by: `${self.rs}/${self.node}`, opid },
    ...{ damages: damages.slice(0, KEPT_DAMAGES), restorable },
  })
}
