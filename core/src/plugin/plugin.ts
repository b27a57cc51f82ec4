/** What the host gives a plugin. */
export interface PluginContext {
  /** Aborted when the process shuts down. */
  readonly signal: AbortSignal
  /** For facts an operator should see; never secrets. */
  warn(message: string): void
  /** For what only helps to find a fault, such as requests and answers; never secrets. Absent where nobody keeps it. */
  debug?(message: string): void
  /** `host:port` of the mongod this agent serves; absent in the CLI. For options that differ by node (endpoint maps). */
  readonly node?: string | undefined
  /** Something was stored there before: a place that is missing, such as a folder, is a fault, and must not be made anew. */
  readonly mustExist?: boolean | undefined
}
