import {
  isSecretName,
  maskSecrets,
  maskStorage,
  maskText,
  type PluginHost,
  type RawDiagnostics,
  type StorageConfig,
  secretsOfStorage,
  withoutSecrets,
} from '@pbmkit/core'
import type { Document } from 'mongodb'

/** Shorter than this, a line of a key could be any word. */
const SHORTEST_LINE = 16

/**
 * Takes secrets out of whatever is given away: the values that are known to be some, wherever they stand, and the
 * credentials in every URI.
 */
export class Scrubber {
  readonly #uri: string
  readonly #secrets: readonly string[]

  /** `uri`: of the connection. */
  constructor(uri: string, secrets: Iterable<string>) {
    this.#uri = uri
    // The longest first: one may be a part of another.
    this.#secrets = [...new Set([...secrets].flatMap(withItsLines).flatMap(asWritten))].sort(
      (a, b) => b.length - a.length,
    )
  }

  text(text: string): string {
    return withoutSecrets(maskText(text, this.#uri), this.#secrets)
  }

  /** A copy with each text in it scrubbed, names of fields too. What is no plain object or list stays as it is. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((item) => this.value(item))
    if (!isPlain(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [this.text(key), this.value(field)]))
  }
}

/** All that the configuration, its profiles and the records of backups hold and no report may have. */
export async function secretsIn({ config, backup }: RawDiagnostics, host: PluginHost): Promise<string[]> {
  const storages = [...config.map(({ storage }) => storage), backup?.store].filter(isStorage)
  const found = await Promise.all(storages.map((storage) => secretsOfStorage(storage, host)))
  return [...found.flat(), ...config.flatMap(({ storage, ...rest }) => namedSecrets(rest))]
}

/** A document of the configuration to show; what no schema of a plugin describes by its names. */
export async function maskedConfig({ storage, ...rest }: Document, host: PluginHost): Promise<unknown> {
  const shown = isStorage(storage) ? { storage: await maskStorage(storage, host) } : {}
  return { ...(withoutPaths(maskSecrets(rest)) as object), ...shown }
}

/** The record of a backup to show. */
export async function maskedBackup({ store, ...rest }: Document, host: PluginHost): Promise<unknown> {
  const shown = isStorage(store) ? { store: await maskStorage(store, host) } : {}
  return { ...(maskSecrets(rest) as object), ...shown }
}

function isStorage(value: unknown): value is StorageConfig {
  return isPlain(value) && typeof value.type === 'string'
}

function namedSecrets(value: unknown, isNamed = false): string[] {
  if (typeof value === 'string') return isNamed ? [value] : []
  if (Array.isArray(value)) return value.flatMap((item) => namedSecrets(item, isNamed))
  if (!isPlain(value)) return []
  return Object.entries(value).flatMap(([key, field]) => namedSecrets(field, isNamed || isSecretName(key)))
}

/** Of a webhook's URL, the path is what admits. */
function withoutPaths(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^(https?:\/\/[^/?#]+)[/?#].+$/i, '$1/***')
  if (Array.isArray(value)) return value.map(withoutPaths)
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, withoutPaths(field)]))
}

/** A key in a PEM file is many lines, each of which may stand alone in a message. */
function withItsLines(secret: string): string[] {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= SHORTEST_LINE && !line.startsWith('-----'))
  return [secret, ...lines]
}

/** Also as it stands in JSON, which errors quote. */
function asWritten(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1)]
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
