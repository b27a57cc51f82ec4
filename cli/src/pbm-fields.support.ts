import assert from 'node:assert/strict'

/** A type by its word, a list by its one element, an object by its fields; a field that ends in `?` may be absent. */
export type Shape = 'string' | 'number' | 'boolean' | 'object' | readonly [Shape] | { readonly [field: string]: Shape }

/** Fails where `value` lacks a field of PBM or has it in another type. Fields of our own may stand beside. */
export function assertShape(value: unknown, shape: Shape, where: string): void {
  if (typeof shape === 'string') {
    assert.equal(typeof value, shape, where)
    return
  }
  if (isList(shape)) {
    assert.ok(Array.isArray(value), `${where} is a list`)
    for (const [index, item] of value.entries()) assertShape(item, shape[0], `${where}[${index}]`)
    return
  }
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), `${where} is an object`)
  for (const [field, below] of Object.entries(shape)) {
    const name = field.replace(/\?$/, '')
    const found: unknown = Reflect.get(value, name)
    if (found === undefined) assert.ok(field.endsWith('?'), `${where}.${name} is missing`)
    else assertShape(found, below, `${where}.${name}`)
  }
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape)
}

type Fields = Readonly<Record<string, Shape>>

const all = (type: Shape) => (names: string) => Object.fromEntries(names.split(' ').map((name) => [name, type]))
const texts = all('string')
const numbers = all('number')
const flags = all('boolean')
const listsOfTexts = all(['string'])
const objects = all('object')

const RANGE: Fields = { range: numbers('start end'), ...flags('noBaseSnapshot?') }
const SNAPSHOT: Fields = {
  ...texts('name profile? status printStatus pbmVersion type src'),
  ...numbers('restoreTo'),
  ...listsOfTexts('nss?'),
}
const TRANSITION: Fields = { ...numbers('last_transition_ts'), ...texts('last_transition_time') }
const WRITE: Fields = { ...numbers('last_write_ts'), ...texts('last_write_time') }
const SIZES: Fields = { ...numbers('size size_uncompressed'), ...texts('size_h size_uncompressed_h') }

/** What PBM's commands print with `-o json` (PBM: cli-and-config.md §1.3). */
export const PBM_FIELDS = {
  backup: texts('name profile? storagePath'),
  cancelBackup: texts('msg'),
  restore: texts('name snapshot?'),
  list: { snapshots: [SNAPSHOT], pitr: { ...flags('on'), ranges: [RANGE], ...objects('rsRanges?') } },
  restores: [
    {
      ...texts('status type snapshot? name? error?'),
      ...numbers('start point-in-time? start-point-in-time?'),
      ...listsOfTexts('namespaces?'),
    },
  ],
  status: {
    cluster: [
      {
        ...texts('rs'),
        nodes: [{ ...texts('host agent role prio_pitr prio_backup'), ...flags('ok'), ...listsOfTexts('errors?') }],
      },
    ],
    pitr: { ...flags('conf run'), ...listsOfTexts('nodes'), ...texts('error?') },
    running: { ...texts('type? opID? name? status?'), ...numbers('startTS?') },
    backups: {
      ...texts('type path region?'),
      snapshot: [{ ...SNAPSHOT, ...numbers('size'), ...texts('error?'), ...objects('storage?') }],
      pitrChunks: { 'pitrChunks?': [RANGE], ...numbers('size') },
    },
  },
  describeBackup: {
    ...texts('name profile? storage_name? storage_type? opid type mongodb_version fcv pbm_version status error?'),
    ...listsOfTexts('namespaces?'),
    ...flags('sel_user_and_roles'),
    ...{ ...SIZES, ...WRITE, ...TRANSITION },
    replsets: [
      {
        ...texts('name status node error?'),
        ...{ ...SIZES, ...WRITE, ...TRANSITION },
        ...flags('configsvr? configshard?'),
        ...objects('security?'),
        ...listsOfTexts('collections?'),
      },
    ],
  },
  describeRestore: {
    ...texts('name opid backup type status error? start finish? time_to_restore?'),
    ...numbers('ts_to_restore?'),
    ...listsOfTexts('namespaces?'),
    ...TRANSITION,
    replsets: [{ ...texts('name status error?'), ...TRANSITION }],
  },
  logs: [{ ...numbers('ts s'), ...texts('rs node e eobj opid? msg'), 'ep?': numbers('T I') }],
  config: {
    storage: texts('type'),
    pitr: { ...flags('enabled'), ...texts('compression') },
    backup: { ...numbers('oplogSpanMin'), ...texts('compression') },
    restore: {},
  },
  configKey: texts('key value'),
  configSet: [texts('key value')],
  profiles: { profiles: [{ ...texts('name'), ...flags('profile'), storage: texts('type') }] },
  version: texts('Version Platform GitCommit GitBranch BuildTime GoVersion'),
} as const satisfies Record<string, Shape>
