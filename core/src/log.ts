/** Levels as PBM's log has them: 0 fatal, 1 error, 2 warning, 3 info, 4 debug (PBM: control-plane.md §8). */
export type Severity = 0 | 1 | 2 | 3 | 4

/** A log that knows its operation: every line goes to the local output and to `admin.pbmLog`. Never give it a secret. */
export interface OperationLog {
  debug(message: string): void
  info(message: string): void
  warning(message: string): void
  error(message: string): void
}
