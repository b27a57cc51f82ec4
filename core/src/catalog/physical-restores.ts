import { Timestamp } from 'mongodb'
import type { Condition } from '../control/backup-document.js'
import type { RestoreDocument, RestoreReplset, RestoreStatus } from '../control/restore-document.js'
import { errorText, PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { printableLine } from '../secrets/printable.js'
import { RESTORES_FOLDER } from '../store/layout/names.js'
import { readText } from '../store/layout/read-text.js'

const NAME = /^[\w:.+-]{1,100}$/
const STATES: readonly RestoreStatus[] = [
  ...(['starting', 'cleanupCluster', 'running', 'dumpDone', 'down', 'copyReady', 'copyDone'] as const),
  ...(['partlyDone', 'done', 'error'] as const),
]
/** What comes from a storage may be anybody's. */
const MOST_FILES = 10_000
const RECORD_BYTES = 4 * 1024 * 1024
const STATE_BYTES = 64 * 1024

/** Names of the physical restores that have ended on this storage, oldest first. */
export async function listPhysicalRestores(store: ObjectStore, options: CallOptions = {}): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list({ prefix: `${RESTORES_FOLDER}/`, ...options })) {
    const [, restore = ''] = /^\.pbm\.restore\/([^/]+)\.json$/.exec(name) ?? []
    if (NAME.test(restore)) names.push(restore)
  }
  return names.sort()
}

/**
 * A physical restore as its files tell it: its record, where it has ended, and what each member and replica set has come to,
 * which counts more. Undefined where there is nothing of it. Rejects with RESTORE_RECORD for a record that can't be read.
 */
export async function readPhysicalRestore(
  store: ObjectStore,
  name: string,
  options: CallOptions = {},
): Promise<RestoreDocument | undefined> {
  if (!NAME.test(name)) return undefined
  const record = await readRecord(store, name, options)
  const files = await readStates(store, name, options)
  if (record === undefined && files === undefined) return undefined
  return { ...EMPTY, ...record, name, type: 'physical', ...files }
}

const UNSET = new Timestamp({ t: 0, i: 0 })
const EMPTY = {
  ...{ status: 'starting' as const, opid: '', backup: '', bcp_chain: null, start_pitr: 0, pitr: 0 },
  ...{ start_ts: 0, last_transition_ts: 0, replsets: [], hb: UNSET, conditions: [] },
}

async function readRecord(
  store: ObjectStore,
  name: string,
  options: CallOptions,
): Promise<Partial<RestoreDocument> | undefined> {
  const text = await textOf(store, `${RESTORES_FOLDER}/${name}.json`, RECORD_BYTES, options)
  if (text === undefined) return undefined
  let found: Readonly<Record<string, unknown>>
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null) throw new TypeError('it is no object')
    found = parsed as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw new PbmError('RESTORE_RECORD', `${RESTORES_FOLDER}/${name}.json can't be read: ${errorText(cause)}`, {
      cause,
    })
  }
  const chain = found.bcp_chain
  return {
    status: stateOf(found.status) ?? 'starting',
    opid: textIn(found.opid),
    backup: textIn(found.backup),
    bcp_chain: Array.isArray(chain) ? chain.slice(0, 1000).map(textIn) : null,
    ...(textIn(found.error) === '' ? {} : { error: textIn(found.error) }),
    start_pitr: secondsIn(found.start_pitr),
    pitr: secondsIn(found.pitr),
    start_ts: secondsIn(found.start_ts),
    last_transition_ts: secondsIn(found.last_transition_ts),
  }
}

/** What a member, a replica set or all together have come to. */
interface Told {
  conditions: Condition[]
  beat: number
}

/** The state files (PBM: physical.md §4); undefined where there is none. */
async function readStates(store: ObjectStore, name: string, options: CallOptions) {
  const cluster: Told = { conditions: [], beat: 0 }
  const replsets = new Map<string, Told & { nodes: Map<string, Told> }>()
  const prefix = `${RESTORES_FOLDER}/${name}/`
  let files = 0
  for await (const { name: object } of store.list({ prefix, ...options })) {
    const path = object.slice(prefix.length)
    const [, rs, node, ofNode, ofReplset, ofCluster] =
      /^(?:rs\.([^/]+)\/(?:node\.([^/]+)\.(\w+)|rs\.(\w+))|cluster\.(\w+))$/.exec(path) ?? []
    const state = ofNode ?? ofReplset ?? ofCluster
    if (state === undefined || (state !== 'hb' && stateOf(state) === undefined)) continue
    if (++files > MOST_FILES) break
    const text = (await textOf(store, object, STATE_BYTES, options)) ?? ''
    let told: Told = cluster
    if (rs !== undefined) {
      const known = replsets.get(rs) ?? { conditions: [], beat: 0, nodes: new Map<string, Told>() }
      replsets.set(rs, known)
      told = known
      if (node !== undefined) {
        told = known.nodes.get(node) ?? { conditions: [], beat: 0 }
        known.nodes.set(node, told)
      }
    }
    note(told, state, text)
  }
  if (files === 0) return undefined
  const parts = [...replsets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([rs, told]) => replsetOf(rs, told))
  const own = latest(cluster)
  const failed = parts.find(({ status }) => status === 'error')
  // Where every member of a replica set has failed, so has all, whoever could still write it down.
  const status = failed === undefined ? own?.status : 'error'
  const error = own?.error ?? failed?.error
  return {
    replsets: parts,
    conditions: sorted(cluster),
    hb: new Timestamp({ t: cluster.beat, i: 0 }),
    ...(own === undefined ? {} : { last_transition_ts: own.timestamp }),
    ...(status === undefined ? {} : { status: status as RestoreStatus }),
    ...(error === undefined ? {} : { error }),
  }
}

function note(told: Told, state: string, text: string): void {
  const [, seconds = '0', error] = /^(\d{1,10})(?::(.*))?$/s.exec(text) ?? []
  const timestamp = Number(seconds)
  if (state === 'hb') told.beat = timestamp
  else told.conditions.push({ timestamp, status: state, ...(error === undefined ? {} : { error: textIn(error) }) })
}

function replsetOf(name: string, told: Told & { nodes: ReadonlyMap<string, Told> }): RestoreReplset {
  const nodes = [...told.nodes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([node, each]) => ({
      name: node,
      status: (latest(each)?.status ?? 'starting') as RestoreStatus,
      last_transition_ts: latest(each)?.timestamp ?? 0,
      conditions: sorted(each),
    }))
  const own = latest(told)
  const allFailed = nodes.length > 0 && nodes.every(({ status }) => status === 'error')
  const status = allFailed ? 'error' : ((own?.status ?? 'starting') as RestoreStatus)
  const error = own?.error ?? (allFailed ? nodes[0]?.conditions.at(-1)?.error : undefined)
  return {
    ...{ name, status, start_ts: sorted(told)[0]?.timestamp ?? 0, last_transition_ts: own?.timestamp ?? 0 },
    ...{ committed_txn: null, txn_set: false, partial_txn: null, op: UNSET, last_write_ts: UNSET },
    hb: new Timestamp({ t: told.beat, i: 0 }),
    ...(error === undefined ? {} : { error }),
    ...{ conditions: sorted(told), nodes },
  }
}

/** By their times; of one second, in the order in which states follow. */
function sorted({ conditions }: Told): Condition[] {
  const rank = ({ status }: Condition) => STATES.indexOf(status as RestoreStatus)
  return conditions.toSorted((a, b) => a.timestamp - b.timestamp || rank(a) - rank(b))
}

function latest(told: Told): Condition | undefined {
  return sorted(told).at(-1)
}

function stateOf(value: unknown): RestoreStatus | undefined {
  return STATES.find((state) => state === value)
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? printableLine(value).slice(0, 2_000) : ''
}

function secondsIn(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : 0
}

async function textOf(store: ObjectStore, name: string, maxBytes: number, options: CallOptions) {
  try {
    return await readText(store, name, { ...options, maxBytes })
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return undefined
    throw error
  }
}
