import type { Ajv } from 'ajv'
import { isPackageName, PBM_COMPRESSIONS } from '../plugin-host/naming.js'
import { type SchemaNode, schemaValidator } from '../plugin-host/schema.js'
import { DRILL_CHECKS_SCHEMA } from './drill-checks.js'
import { boolean, compression, section } from './nodes.js'
import { NOTIFICATIONS_SCHEMA } from './notifications.js'
import { SCHEDULES_SCHEMA } from './schedules.js'

const MAX_INT32 = 2_147_483_647
const MAX_UINT32 = 4_294_967_295

const text = { type: 'string' } as const
const count = { type: 'integer', minimum: 0, maximum: MAX_INT32 } as const
const minutes = { type: 'number', minimum: 0 } as const
const seconds = { type: 'integer', minimum: 0, maximum: MAX_UINT32, int64: true } as const
const lockSeconds = { type: 'integer', minimum: 1, maximum: 86_400 } as const
const externalLockSeconds = { type: 'integer', minimum: 1, maximum: 604_800 } as const
const bytesPerSecond = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, int64: true } as const
const compressionLevel = { type: 'integer', minimum: -MAX_INT32, maximum: MAX_INT32 } as const
const priority = { type: 'object', additionalProperties: { type: 'number' } } as const

const pitr = section({
  enabled: boolean,
  oplogSpanMin: minutes,
  oplogOnly: boolean,
  priority,
  compression,
  compressionLevel,
})

const backup = section({
  oplogSpanMin: minutes,
  priority,
  timeouts: section({ startingStatus: seconds, balancerStop: seconds }),
  compression,
  compressionLevel,
  numParallelCollections: count,
  numParallelFiles: count,
  layout: { type: 'string', enum: ['pbm', 'archive'] },
  physical: section({
    allowPrimary: boolean,
    maxLockSeconds: lockSeconds,
    allowLongLock: boolean,
    maxExternalLockSeconds: externalLockSeconds,
  }),
  throttle: section({ upload: bytesPerSecond, download: bytesPerSecond }),
})

const restore = section({
  batchSize: count,
  numInsertionWorkers: count,
  numParallelCollections: count,
  numParallelFiles: count,
  indexCommitQuorum: { type: 'string', commitQuorum: true },
  numDownloadWorkers: count,
  maxDownloadBufferMb: count,
  downloadChunkMb: count,
  mongodLocation: text,
  mongodLocationMap: { type: 'object', additionalProperties: text },
  fallbackEnabled: boolean,
  allowPartlyDone: boolean,
  timeouts: section({ balancerStop: seconds }),
  verify: boolean,
  openTransactionsGB: count,
})

/** Of the main configuration, and of a profile. */
export const LIFECYCLE_SCHEMA = section({
  enabled: boolean,
  strategy: { type: 'string', enum: ['rolling', 'calendar'] },
  minKeep: count,
  purgeFailed: boolean,
  dailyRetention: count,
  weeklyRetention: count,
  weeklyDay: { type: 'integer', minimum: 0, maximum: 6 },
  monthlyRetention: count,
  monthlyDay: { type: 'integer', minimum: 1, maximum: 31 },
})

/** A plugin whose options are known: its name is the key of their block. */
export interface KnownPlugin {
  readonly name: string
  readonly optionsSchema: object
}

/**
 * The schema of the whole document, with the plugins' own schemas at `storage.<name>` and `encryption.<name>`. Without a
 * plugin any block is let through: its absence is a fault by itself, and its keys can't be judged. `others`: storages whose
 * blocks stand beside that of the type, as PBM keeps them.
 */
export function configSchema(
  storage: KnownPlugin | undefined,
  encryption: readonly KnownPlugin[] = [],
  others: readonly KnownPlugin[] = [],
): SchemaNode {
  const key = [storage ?? NO_PLUGIN, ...encryption, NO_PLUGIN, ...others].map(
    ({ name, optionsSchema }) => `${name}#${idOf(optionsSchema)}`,
  )
  const known = schemas.get(key.join()) ?? schemaWith(storage, encryption, others)
  schemas.set(key.join(), known)
  return known
}

/**
 * Built once for each set of plugins: validators are kept by the schema they were compiled from. By name, too, since a
 * plugin that extends another may share its options.
 */
const schemas = new Map<string, SchemaNode>()

const NO_PLUGIN: KnownPlugin = { name: '', optionsSchema: {} }

const ids = new WeakMap<object, number>()
let lastId = 0

function idOf(schema: object): number {
  const id = ids.get(schema) ?? ++lastId
  ids.set(schema, id)
  return id
}

function schemaWith(
  storage: KnownPlugin | undefined,
  encryption: readonly KnownPlugin[],
  others: readonly KnownPlugin[],
): SchemaNode {
  const beside = others.map(({ name, optionsSchema }) => [name, withoutRequired(optionsSchema as SchemaNode)] as const)
  const needsOptions = ((storage?.optionsSchema as SchemaNode | undefined)?.required ?? []).length > 0
  const block: SchemaNode =
    storage === undefined
      ? { type: 'object', properties: { type: text }, required: ['type'], additionalProperties: {} }
      : {
          ...section({ ...Object.fromEntries(beside), type: text, [storage.name]: storage.optionsSchema }),
          required: needsOptions ? ['type', storage.name] : ['type'],
        }
  const methods = encryption.map(({ name, optionsSchema }) => [name, optionsSchema] as const)
  const sealing = { ...section({ type: text, ...Object.fromEntries(methods) }), required: ['type'] }
  return {
    ...section({
      ...{ name: text, storage: block, pitr, backup, restore, encryption: sealing, lifecycle: LIFECYCLE_SCHEMA },
      drill: section({ checks: DRILL_CHECKS_SCHEMA }),
      ...{ schedules: SCHEDULES_SCHEMA, notifications: NOTIFICATIONS_SCHEMA },
    }),
    required: ['storage'],
  }
}

/** A block that is not in use need not be whole. */
function withoutRequired({ required: _, properties, ...others }: SchemaNode): SchemaNode {
  if (properties === undefined) return others
  const below = Object.entries(properties).map(([key, child]) => [key, withoutRequired(child)] as const)
  return { ...others, properties: Object.fromEntries(below) }
}

/** The validator with the keywords of {@link configSchema}. */
export function configValidator(): Ajv {
  const ajv = schemaValidator()
  ajv.addKeyword({
    keyword: 'compressionMethod',
    type: 'string',
    schemaType: 'boolean',
    validate: (_schema: boolean, value: string) => PBM_COMPRESSIONS.includes(value) || isPackageName(value),
    errors: false,
  })
  ajv.addKeyword({
    keyword: 'commitQuorum',
    type: 'string',
    schemaType: 'boolean',
    validate: (_schema: boolean, value: string) => /^(?:majority|votingMembers|[1-9]|[1-4]\d|50)$/.test(value),
    errors: false,
  })
  return ajv
}
