/** The control collections, all in `admin` of the leader replica set (PBM: control-plane.md §1.3). */
export const CONTROL_DATABASE = 'admin'

export const COMMANDS = 'pbmCmd'
export const CONFIG = 'pbmConfig'
export const BACKUPS = 'pbmBackups'
export const RESTORES = 'pbmRestores'
export const LOCKS = 'pbmLock'
export const SLICER_LOCKS = 'pbmLockOp'
export const OPERATIONS = 'pbmOpLog'
export const LOG = 'pbmLog'
export const AGENTS = 'pbmAgents'
export const PITR = 'pbmPITR'
export const PITR_CHUNKS = 'pbmPITRChunks'
/** Copies of the users and roles, in the `admin` of each replica set; dumped, never a control collection of the leader. */
export const USERS_COPY = 'pbmRUsers'
export const ROLES_COPY = 'pbmRRoles'

/** Collections in which a restore puts the routing tables of a sharded cluster together: ours, and gone when it is done. */
export const STAGING_PREFIX = 'pbmkitRestore.'

/** What a dump leaves out and a restore or replay never touches. */
export const CONTROL_COLLECTIONS: readonly string[] = [
  COMMANDS,
  CONFIG,
  BACKUPS,
  RESTORES,
  LOCKS,
  SLICER_LOCKS,
  OPERATIONS,
  LOG,
  AGENTS,
  PITR,
  PITR_CHUNKS,
  'pbmBackups.old',
  'pbmPITRChunks.old',
]

const CONTROL: ReadonlySet<string> = new Set([...CONTROL_COLLECTIONS, USERS_COPY, ROLES_COPY])

/** Whether the collection of `admin` is ours or PBM's alone: control collections, copies of users and roles, staging. */
export function isControlCollection(collection: string): boolean {
  return CONTROL.has(collection) || collection.startsWith(STAGING_PREFIX)
}
