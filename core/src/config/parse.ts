import { Timestamp } from 'bson'
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import { PbmError } from '../errors.js'
import type { PluginHost } from '../plugin-host/host.js'
import { type SchemaNode, typesOf } from '../plugin-host/schema.js'
import { configFaults, invalidConfig, resolveSchema } from './check.js'
import type { Config, StorageConfig } from './document.js'
import { maskedFaults, withStoredSecrets } from './masked-values.js'
import { withTrimmedNames } from './trim.js'
import { childSchema, isRecord, typedValue } from './values.js'

/** No configuration nests deeper; an alias that holds itself would. */
const MAX_DEPTH = 32

/**
 * Reads a configuration file, strictly. Unknown and double keys and wrong values are refused; one PbmError
 * CONFIG_INVALID tells every fault with its line and path and never the value of a secret. `epoch` is unset. What was masked
 * when it was shown is taken from `stored`, the storage that it replaces.
 */
export async function parseConfig(yaml: string, host: PluginHost, stored?: StorageConfig): Promise<Config> {
  const { root, lineOf } = readYaml(yaml)
  const type = isMap(root) ? typeOfStorage(root) : undefined
  const resolved = await resolveSchema(type, host, encryptionOf(root), storageBlocks(root))
  const lines = new Map<string, number>()
  const written = toPlain(root, resolved.schema, [], (path, node) => lines.set(path.join('\0'), lineOf(node)))
  const document = withoutProfile(withStoredSecrets(written, { storage: stored }))
  if (document === undefined)
    throw new PbmError('CONFIG_INVALID', 'invalid configuration: it is empty', { hint: 'name at least a storage' })
  if (!isRecord(document))
    throw new PbmError('CONFIG_INVALID', 'invalid configuration: it must be a mapping of keys to values')
  const masked = maskedFaults(document, [])
  const isMasked = new Set(masked.map(({ path }) => path.join('\0')))
  const wrong = (await configFaults(document, resolved, host)).filter(({ path }) => !isMasked.has(path.join('\0')))
  const faults = [...masked, ...wrong]
  if (faults.length > 0) throw invalidConfig(faults, (path) => lineOfPath(path, lines))
  return { ...(withTrimmedNames(document, resolved.schema) as Omit<Config, 'epoch'>), epoch: new Timestamp(0n) }
}

/** A shown profile has the key, and PBM takes it in every file; stored in the main document it would make that one a profile. */
function withoutProfile(document: unknown): unknown {
  if (!isRecord(document)) return document
  const { profile: _, ...others } = document
  return others
}

function readYaml(yaml: string): { root: Node | null; lineOf: (node: Node) => number } {
  const lineCounter = new LineCounter()
  // prettyErrors would put the source, and with it secrets, into the messages.
  const document = parseDocument(yaml, { lineCounter, prettyErrors: false })
  if (document.errors.length > 0) {
    const told = document.errors.map(({ pos, code, message }) => {
      const { line, col } = lineCounter.linePos(pos[0])
      if (code === 'MULTIPLE_DOCS') return `line ${line}: a second document begins here; a configuration is one`
      const key = code === 'DUPLICATE_KEY' ? (/^[^\s:]+/.exec(yaml.slice(pos[0]))?.[0] ?? '') : ''
      return code === 'DUPLICATE_KEY'
        ? `line ${line}: ${key}: stands here a second time`
        : `line ${line}, column ${col}: ${firstLine(message)}`
    })
    throw new PbmError('CONFIG_INVALID', `invalid YAML: ${told.join('\n')}`)
  }
  return { root: document.contents, lineOf: (node) => lineCounter.linePos(node.range?.[0] ?? 0).line }
}

/** Messages of the parser quote what they met, behind a colon or in quotes; that may be part of a secret. */
function firstLine(message: string): string {
  const line = message.split('\n')[0] ?? message
  return line.replace(/:.*$/s, '').replace(/ ?(?:"[^"]*"|'[^']*'|`[^`]*`).*$/, '')
}

function typeOfStorage(root: YAMLMap): unknown {
  const type = root.getIn(['storage', 'type'])
  return type === undefined || type === null ? undefined : String(type)
}

function storageBlocks(root: Node | null): string[] {
  const section: unknown = isMap(root) ? root.get('storage') : undefined
  return isMap(section) ? section.items.map(keyOf) : []
}

/** As far as its schema depends on it: the type, and which blocks there are. */
function encryptionOf(root: Node | null): Record<string, unknown> | undefined {
  const section: unknown = isMap(root) ? root.get('encryption') : undefined
  if (!isMap(section)) return undefined
  return Object.fromEntries(
    section.items.map((pair: Pair) => {
      const key = keyOf(pair)
      return [key, key === 'type' && isScalar(pair.value) ? String(pair.value.value) : {}]
    }),
  )
}

/** The value of a node, read by the schema; `undefined` for null, which means unset. */
function toPlain(
  node: unknown,
  schema: SchemaNode | undefined,
  path: readonly string[],
  seen: (path: readonly string[], node: Node) => void,
): unknown {
  if (path.length > MAX_DEPTH) throw new PbmError('CONFIG_INVALID', `invalid configuration: ${path[0]} nests too deep`)
  if (isAlias(node))
    throw new PbmError('CONFIG_INVALID', `invalid configuration: ${path.join('.')}: YAML aliases are not taken here`)
  if (isMap(node)) {
    const fields = node.items.map((pair: Pair) => {
      const key = keyOf(pair)
      const below = [...path, key]
      seen(below, pair.key as Node)
      return [key, toPlain(pair.value, childSchema(schema, key), below, seen)] as const
    })
    return Object.fromEntries(fields.filter(([, value]) => value !== undefined))
  }
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      const below = [...path, String(index)]
      if (isNode(item)) seen(below, item)
      return toPlain(item, schema?.items, below, seen)
    })
  }
  if (isScalar(node)) return scalarValue(node, schema)
  return undefined
}

function keyOf(pair: Pair): string {
  const { key } = pair
  return isScalar(key) ? (typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))) : String(key)
}

function scalarValue(node: Scalar, schema: SchemaNode | undefined): unknown {
  if (node.value === null) return undefined
  if (node.type !== 'PLAIN' || schema === undefined || typesOf(schema).length === 0) return node.value
  return typedValue(node.source ?? String(node.value), schema)
}

/** The line of a path, or of the nearest section above it that stands in the file (for a key that is missing). */
function lineOfPath(path: readonly string[], lines: ReadonlyMap<string, number>): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(path.slice(0, length).join('\0'))
    if (line !== undefined) return line
  }
  return undefined
}
