import { createRequire } from 'node:module'

/** What we tell PBM's own agents and CLI: the version of PBM whose documents and formats these are, without a "v". */
export const PBM_COMPATIBLE_VERSION = '2.15.0'

export const TOOL_NAME = 'pbmkit'

/** Our own version, from this package's manifest. */
export const VERSION: string = (createRequire(import.meta.url)('../package.json') as { version: string }).version

/** As it stands in `tool_version` of a backup's metadata: `pbmkit 0.1.0`. */
export const TOOL_VERSION = `${TOOL_NAME} ${VERSION}`
