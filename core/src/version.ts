import { createRequire } from 'node:module'

/** What we tell PBM's own agents and CLI: the version of PBM whose documents and formats these are, without a "v". */
export const PBM_COMPATIBLE_VERSION = '2.15.0'

export const TOOL_NAME = 'pbmkit'

/** This package's manifest. npm writes `gitHead` into what it publishes. */
const manifest = createRequire(import.meta.url)('../package.json') as { version: string; gitHead?: string }

/** Our own version. */
export const VERSION: string = manifest.version

/** As it stands in `tool_version` of a backup's metadata: `pbmkit 0.1.0`. */
export const TOOL_VERSION = `${TOOL_NAME} ${VERSION}`

/** What both programs tell of themselves: all of PBM's fields, '' where there is nothing to say, and two of our own. */
export interface BuildFacts {
  Version: string
  /** As Go names them: `linux/amd64`. */
  Platform: string
  GitCommit: string
  GitBranch: string
  BuildTime: string
  GoVersion: string
  NodeVersion: string
  /** The version of PBM whose formats these are. */
  PBMVersion: string
}

/** Go's names where they are not Node's. */
const SYSTEMS: Readonly<Record<string, string>> = { win32: 'windows' }
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

/** As `version` prints them (PBM: cli-and-config.md §1.3). */
export function buildFacts(): BuildFacts {
  const { platform, arch } = process
  return {
    Version: VERSION,
    Platform: `${SYSTEMS[platform] ?? platform}/${ARCHITECTURES[arch] ?? arch}`,
    GitCommit: manifest.gitHead ?? '',
    GitBranch: '',
    BuildTime: '',
    GoVersion: '',
    NodeVersion: process.version,
    PBMVersion: PBM_COMPATIBLE_VERSION,
  }
}

/** The same for people. */
export function buildText({ Version, Platform, GitCommit, NodeVersion, PBMVersion }: BuildFacts): string {
  return [
    `Version:     ${Version} (${TOOL_NAME})`,
    `Platform:    ${Platform}`,
    ...(GitCommit === '' ? [] : [`Commit:      ${GitCommit}`]),
    `Node:        ${NodeVersion}`,
    `Compatible:  PBM ${PBMVersion}`,
  ].join('\n')
}

/** Series of servers that docs/versions.md tells of as run. */
const TRIED_SERVERS: readonly string[] = ['4.4', '5.0', '6.0', '7.0']

/** What to say of a server of another series than those that were tried; undefined for one of these. */
export function untriedServerText(version: string): string | undefined {
  const series = version.split('.').slice(0, 2).join('.')
  if (TRIED_SERVERS.includes(series)) return undefined
  return `MongoDB ${version} was not tried with this version of pbmkit, only ${TRIED_SERVERS.join(', ')}: test a restore`
}
