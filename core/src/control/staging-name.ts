const PREFIX = 'pbmkit_staging_'

/** Names of databases in which restores put together what is then taken from there. */
export const STAGING_DATABASE = /^pbmkit_staging_[0-9a-f]{24}$/

/** `opid`: of the restore, 24 hex digits. */
export function stagingDatabase(opid: string): string {
  return `${PREFIX}${opid}`
}
