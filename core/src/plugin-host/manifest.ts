import type { PluginKind } from './naming.js'

/** What `package.json` of a plugin tells of it, as far as the host asks. Anything may stand there. */
export interface Manifest {
  readonly version?: unknown
  readonly keywords?: unknown
  readonly engines?: unknown
  /** Which plugin it holds, for which version of the interfaces: optional, as the plugin says it too. */
  readonly pbmkit?: unknown
}

export interface ManifestFault {
  readonly code: string
  /** Follows the name of the package. */
  readonly text: string
}

const KEYWORD = 'pbmkit-plugin'
const API_VERSION = 1

/**
 * Pure. Why a package must not be loaded as a plugin of that kind, by what it says of itself: loading runs its code, so a
 * package that only happens to be called so, or is for another version, is not loaded to find that out.
 */
export function manifestFault(
  manifest: Manifest,
  kind: PluginKind,
  node = process.versions.node,
): ManifestFault | undefined {
  const { keywords, engines, pbmkit } = manifest
  if (!(Array.isArray(keywords) && keywords.includes(KEYWORD))) {
    return {
      code: 'PLUGIN_NO_KEYWORD',
      text: `does not call itself a plugin: its package.json has no keyword ${KEYWORD}`,
    }
  }
  const said = fieldsOf(pbmkit)
  if (said.kind !== undefined && said.kind !== kind) {
    return {
      code: 'PLUGIN_WRONG_KIND',
      text: `is of kind ${JSON.stringify(said.kind)}, where a ${kind} plugin is needed`,
    }
  }
  if (said.apiVersion !== undefined && said.apiVersion !== API_VERSION) {
    const text = `is for plugin API ${JSON.stringify(said.apiVersion)}, this is plugin API ${API_VERSION}`
    return { code: 'PLUGIN_WRONG_API', text }
  }
  const least = leastNode(fieldsOf(engines).node)
  if (least !== undefined && compareVersions(node, least) < 0) {
    return { code: 'PLUGIN_WRONG_NODE', text: `needs Node.js ${least} or later, this is ${node}` }
  }
  return undefined
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** Of `>=22.15`, as nearly every package writes it; other ranges are npm's to judge when the package is installed. */
function leastNode(range: unknown): string | undefined {
  return typeof range === 'string' ? /^\s*>=\s*v?(\d+(?:\.\d+){0,2})\s*$/.exec(range)?.[1] : undefined
}

function compareVersions(one: string, other: string): number {
  const [left, right] = [one, other].map((text) => text.split('.').map(Number)) as [number[], number[]]
  for (const index of [0, 1, 2]) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
