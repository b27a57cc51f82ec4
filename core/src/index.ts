/** `@pbmkit/core`: what the agent, the CLI, the suites and the bench build on; plugins have `./plugin` and `./plugin/kit`. */

// tsyringe asks for it before anything that is injected is loaded.
import 'reflect-metadata'

export { readMetadataJsonGently } from './archive/metadata.js'
export { readArchive } from './archive/reader.js'
export { BackupLeader } from './backup/leader.js'
export { dumpNamespaces } from './backup/logical/dump.js'
export { listNamespaces } from './backup/logical/namespaces.js'
export { BackupNominee } from './backup/nominee.js'
export { requirePhysical } from './backup/physical/readiness.js'
export { removeLeftScratch } from './backup/physical/scratch.js'
export { documentsIn, wholeDocuments } from './bson/documents.js'
export { findField } from './bson/elements.js'
export { hasMark } from './catalog/backup-mark.js'
export { chainUpTo, sourceName } from './catalog/chain.js'
export { incompatibility } from './catalog/compatible.js'
export { deleteBackup, deleteBackupsBefore, deleteByLifecycle, deleteOld, readInventory } from './catalog/delete.js'
export { History, type HistoryFacts, type StoredOplog } from './catalog/history.js'
export { ensureInitObject } from './catalog/init-object.js'
export { acceptStorage, requireKnownStorage, type SeenStorage, seeStorage } from './catalog/known-storage.js'
export { type KeepReason, lifecyclePlan, minKeepFault } from './catalog/lifecycle.js'
export { readPhysicalRestore } from './catalog/physical-restores.js'
export { planPointInTime, planReplay } from './catalog/plan-restore.js'
export { recordKeys } from './catalog/record-keys.js'
export { resync } from './catalog/resync.js'
export {
  expired,
  isBaseSnapshot,
  isFinished,
  isNeededForSlicing,
  isPointInTimeBase,
  isSelective,
} from './catalog/retention.js'
export { identityObject, lookForIdentity } from './catalog/storage-identity.js'
export {
  type Base,
  type ChunkBounds,
  type SecondsRange,
  type TimeRange,
  timelines,
  touchedSeconds,
  wholeSeconds,
  withoutReshardings,
} from './catalog/timelines.js'
export { testWriting } from './catalog/write-test.js'
export {
  type Config,
  DEFAULT_COMPRESSION,
  type EncryptionConfig,
  type PitrConfig,
  type StorageConfig,
} from './config/document.js'
export { maskConfig, maskStorage, secretsOf, secretsOfStorage } from './config/mask.js'
export type { NoticeFields } from './config/notice-template.js'
export {
  type EmailConfig,
  NOTIFICATION_SCHEMA,
  type NotificationConfig,
  type SecretReference,
  urlFault,
  type WebhookConfig,
} from './config/notifications.js'
export { parseConfig } from './config/parse.js'
export { parseQuery } from './config/query.js'
export { sameStorage, storageFingerprint } from './config/same-storage.js'
export { SCHEDULED, type ScheduleConfig, type ScheduledKind } from './config/schedules.js'
export {
  type AgentDocument,
  type AgentKeys,
  type AgentMark,
  type AgentPlace,
  type AgentPlugins,
  agentErrors,
  isAgentOk,
  listAgents,
  PRIMARY_STATE,
  publishAgent,
  removeAgent,
  type SubsystemStatus,
} from './control/agents.js'
export {
  type BackupDocument,
  type BackupReplset,
  type BackupStatus,
  isOfFiles,
  type Progress,
} from './control/backup-document.js'
export { type BackupFacts, listBackupFacts, type ReplsetFacts } from './control/backup-facts.js'
export {
  findBackup,
  findBackupByOpid,
  forgetBackups,
  insertBackup,
  isTimestampSet,
  listBackups,
  setBackupStatus,
  setReplsetProgress,
  UNSET_TIMESTAMP,
} from './control/backups.js'
export { type ClusterView, readClusterView } from './control/cluster-view.js'
export {
  asksForPart,
  type BackupCommand,
  type Command,
  type CommandDocument,
  type DrillCommand,
  isRestore,
  type RestoreCommand,
  type VerifyCommand,
} from './control/command-document.js'
export { noteDeadResync, noteRefused, sendCommand } from './control/commands.js'
export {
  type ConfigChange,
  readConfig,
  readConfigAndTime,
  requireConfig,
  resetEpoch,
  writeConfig,
} from './control/config.js'
export { getConfigKey, parseSetting, setConfigKeys } from './control/config-keys.js'
export { type RawDiagnostics, readDiagnostics } from './control/diagnostics.js'
export { findDrill, noteDrill, setDrilled } from './control/drill.js'
export {
  type DrilledReplset,
  type DrillReport,
  drillFault,
  type LastDrill,
  lastDrill,
  readDrills,
} from './control/drill-document.js'
export {
  type LockDocument,
  type LockHeader,
  listBesideLocks,
  listLiveLocks,
  listLocks,
  listSlicerLocks,
} from './control/locks.js'
export { appendLog, type LogEntry, type LogQuery, queryLog } from './control/log.js'
export { followLog } from './control/log-follow.js'
export { type Log, type LogContext, openLog } from './control/log-writer.js'
export {
  changeNotices,
  type Delivery,
  type Notice,
  type NoticeState,
  type QueuedNotice,
} from './control/notice-state.js'
export {
  findPlans,
  findRotation,
  hasOperation,
  notePlan,
  noteRotation,
  type RotationFigures,
  type RotationRecord,
  recordOperation,
} from './control/operations.js'
export { requireOwnAgents } from './control/own-agents.js'
export { findPitr } from './control/pitr.js'
export type { PitrChunkDocument } from './control/pitr-chunk-document.js'
export { insertChunk, isChunkListed, listChunks } from './control/pitr-chunks.js'
export {
  findProfile,
  isMain,
  lifecycleOf,
  listProfiles,
  MAIN_PROFILE,
  type Profile,
  profileOf,
  removeProfile,
  requireProfile,
  requireStorage,
  saveProfile,
  storageOfBackup,
  storageToWire,
} from './control/profiles.js'
export { type NamespacePair, Renaming } from './control/renaming.js'
export type { RestoreDocument } from './control/restore-document.js'
export type { RestoreFacts } from './control/restore-facts.js'
export { mergePlans, type PlannedOplog, type RestorePlan } from './control/restore-plan.js'
export { findRestore, findRestoreByOpid, insertRestore, listRestores, setRestoreStatus } from './control/restores.js'
export { judgeRights, rightsMissing } from './control/rights.js'
export { type DatabaseRole, databaseRole, KNOWN_SINCE, ROLE_KINDS, type RoleKind } from './control/roles.js'
export {
  type RunDocuments,
  readRunDocuments,
  readWholeConfig,
  writeSchedules,
  writeWholeConfig,
} from './control/run-documents.js'
export {
  type EndedRun,
  noteRun,
  type ScheduledRun,
  type ScheduleState,
} from './control/schedule-state.js'
export { checkedSelection, Selection } from './control/selection.js'
export { ensureControlCollection, ensureControlCollections } from './control/setup.js'
export { forgetIdentity, wasUsed } from './control/storage-memory.js'
export { findVerification, noteVerification, setVerified } from './control/verification.js'
export type {
  BackupVerification,
  ChunksVerification,
  Damage,
  VerificationReport,
  VerifiedBackup,
} from './control/verification-document.js'
export { Ciphers, isSealing, type OpenMethod } from './encryption/ciphers.js'
export {
  createWrappingKey,
  isKeyObject,
  keyObjectName,
  keyScope,
  openKeyObject,
  readKeyObject,
} from './encryption/key-objects.js'
export { signedText, signingKey, signRecord } from './encryption/record-signature.js'
export { rotateKeys } from './encryption/rotate.js'
export { chunkMethod, isSealed, isWhollySealed, partMethod, sealedStore, storeOf } from './encryption/sealed-store.js'
export { errorText, PbmError, unacknowledged } from './errors.js'
export type { OperationLog, Severity } from './log.js'
export { balancerStatus, isBalancerOn } from './mongo/balancer.js'
export { gossipClusterTime, signedClusterTime } from './mongo/causal.js'
export { clusterTime, isStale, STALE_SECONDS, secondsOf } from './mongo/cluster-time.js'
export { connectLeader, connectNode, connectPrimary } from './mongo/connect.js'
export { connectedAs, userOf } from './mongo/connected-user.js'
export { COMMANDS, LOCKS } from './mongo/control-names.js'
export { type MajorityStatus, majorityStatus } from './mongo/majority.js'
export { readDocuments } from './mongo/raw-read.js'
export { awaitMajority, insertDocuments } from './mongo/raw-write.js'
export type { ScratchSettings } from './mongo/scratch-settings.js'
export {
  clusterMembers,
  type Member,
  type MemberRole,
  type NodeInfo,
  nodeInfo,
  type ReplsetTopology,
} from './mongo/topology.js'
export { ignoredUriOptionsText, maskText, parseUri, uriForUser } from './mongo/uri.js'
export { mailTexts, noticeFields, webhookBody } from './notify/message.js'
export { Notifier, type SendNotice } from './notify/notifier.js'
export { channelsOf, enqueue } from './notify/queue.js'
export { optime } from './oplog/entry.js'
export type { CompressionPlugin } from './plugin/compression.js'
export { hasCode } from './plugin/errors.js'
export type { PluginContext } from './plugin/plugin.js'
export type { ListOptions, ObjectInfo, ObjectStore, StoragePlugin } from './plugin/storage.js'
export { API_VERSION, shapeFaults } from './plugin-host/check.js'
export { endProcess } from './plugin-host/end-process.js'
export { type InspectedPlugin, type LoadablePlugin, PluginHost, pluginFault } from './plugin-host/host.js'
export { inspectApart } from './plugin-host/inspect-apart.js'
export { checkLocalAccess, DEFAULT_LOCAL_ACCESS, type LocalAccess } from './plugin-host/local-access.js'
export { missingPluginHint, type PluginKind, withoutAlias } from './plugin-host/naming.js'
export { none } from './plugin-host/none.js'
export { useProxies } from './plugin-host/use-proxies.js'
export { bodyOf } from './plugin-kit/streams.js'
export { busyText, saysBusy } from './protocol/busy.js'
export { backupCanceled, isCanceled, operationCanceled } from './protocol/canceled.js'
export { watchCommands } from './protocol/command-feed.js'
export { type AgentNeeds, EXTERNAL_NEEDS, physicalNeeds, type Unfitness, unfitness } from './protocol/fitness.js'
export { acquireLock, isHeld } from './protocol/lock.js'
export { acquireLockAfterResync, isResync, operationInTheWay } from './protocol/lock-wait.js'
export { priorityOf } from './protocol/priority.js'
export { ProgressPublisher } from './protocol/progress.js'
export { recordRefusal } from './protocol/refusal.js'
export {
  otherPlaceText,
  requireOneStorage,
  requireUsedStorage,
  type StoragePlace,
  storagePlaces,
} from './protocol/storage-places.js'
export {
  CIPHERS,
  CLOCK,
  COMPRESSION,
  LEADER,
  NODE,
  NODE_URI,
  OPERATION_LOG,
  SCRATCH,
  SELF,
  STORE,
  WITH_PRIMARY,
  WITH_STORE,
  type WithPrimary,
  type WithStore,
} from './protocol/tokens.js'
export { DeadResync } from './recovery/dead-resync.js'
export { repairPhysicalBackup } from './recovery/forgotten-lock.js'
export { deleteFailed, leftoversOf } from './recovery/leftovers.js'
export type { Repair } from './recovery/repair-runner.js'
export { allRepairs } from './recovery/repairs.js'
export { repairStaging } from './recovery/staging.js'
export { watchStaleOperations } from './recovery/stale-operations.js'
export { repairTtlMonitor } from './recovery/ttl-pause.js'
export { tellCopyDone } from './restore/physical/bring-files.js'
export { type CarryOutContext, carryOut } from './restore/physical/carry-out.js'
export { JournalFile, type TakeOverJournal } from './restore/physical/journal.js'
export { readStoredFileList } from './restore/physical/listed-files.js'
export {
  type EndedTakeOver,
  PhysicalRestore,
  type PlannedTakeOver,
  recordTakeOver,
} from './restore/physical/restore.js'
export { removeFetched } from './restore/physical/take-over.js'
export { findAnywhere } from './restore/run/find-backup.js'
export { OplogReplay } from './restore/run/oplog-replay.js'
export { planRestore } from './restore/run/plan-restore.js'
export { Restore } from './restore/run/restore.js'
export { dropUnfinished } from './restore/selective/made.js'
export { sealedOnly, unsealed } from './restore/verify/sealed-only.js'
export { ACTIONS } from './schedule/actions.js'
export { Scheduler } from './schedule/scheduler.js'
export { maskSecrets } from './secrets/documents.js'
export { withoutSecrets } from './secrets/errors.js'
export { isPrintable, printable, printableJson, printableLine } from './secrets/printable.js'
export { isSecretName, maskUrls, passwordsInUrls } from './secrets/text.js'
export { editDistance } from './similar-words.js'
export { missingSnapshot } from './slicer/catch-up.js'
export { slicingLag } from './slicer/lag.js'
export { Slicer } from './slicer/slicer.js'
export { SlicingLeader } from './slicer/slicing-leader.js'
export { SlicingWorker } from './slicer/slicing-worker.js'
export { newestBaseFirst, newestRestoreFirst, restoreTimes, toBase } from './slicer/starting-point.js'
export { CALM_SLICING_POLL_MS, readSlicingView, SLICING_POLL_MS, type SlicingView } from './slicer/view.js'
export { toStorageJson, withChecksum } from './store/layout/backup-metadata.js'
export { chunkChecksumPrefix } from './store/layout/chunk-checksum.js'
export { filelistName, namespaceListName, parsePitrChunkName, pitrChunkName } from './store/layout/names.js'
export { isLegacyArchive } from './store/layout/pbm-version.js'
export { readText } from './store/layout/read-text.js'
export { type OpenOptions, openStore, storageOptions, wrappedStore } from './store/open.js'
export type { MeteredCall, OpenStore } from './store/open-store.js'
export { transferText } from './store/wrappers/meter.js'
export { onStorageCalls, type StorageCall } from './store/wrappers/storage-calls.js'
export { type Clock, systemClock } from './time/clock.js'
export { nextTick } from './time/cron.js'
export { inTime } from './time/deadline.js'
export { rfc3339, tableTime } from './time/text.js'
export { until } from './time/until.js'
export { untilAborted } from './time/until-aborted.js'
export { checksOf } from './verification/drill/checks.js'
export type { DrillContext } from './verification/drill/context.js'
export { drillReplset } from './verification/drill/drill.js'
export { requireDrillable } from './verification/drill/server.js'
export { sampleOf } from './verification/sample.js'
export { type VerifyScope, verifyScopeOf } from './verification/scope.js'
export { type ListedStorage, verifyStorage } from './verification/verify.js'
export { buildFacts, buildText, PBM_COMPATIBLE_VERSION, untriedServerText, VERSION } from './version.js'
