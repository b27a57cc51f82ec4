/** Of a server that the agent starts itself: this machine's own settings. */
export interface ScratchSettings {
  readonly folder: string
  /** GB of its cache, as its option takes them. */
  readonly cacheGb: string
  /** Bytes that stay free on that file system. */
  readonly keepFree: number
  /** Its program; that of the mongod beside the agent when absent. */
  readonly mongod?: string
}
