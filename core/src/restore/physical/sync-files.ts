import { Timestamp } from 'mongodb'
import { errorText, PbmError } from '../../errors.js'
import { hasCode } from '../../plugin/errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { printableLine } from '../../secrets/printable.js'
import { RESTORES_FOLDER } from '../../store/layout/names.js'
import { readText } from '../../store/layout/read-text.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import type { TakeOverParty } from './announce.js'

/**
 * `copyDone` comes before `down` here, and means that all files of the backup lie beside the data, with their checksums
 * right: PBM has it of external restores only.
 */
export type SyncState = 'starting' | 'running' | 'copyDone' | 'down' | 'copyReady' | EndState

export type EndState = 'done' | 'partlyDone' | 'error'

const POLL_MS = 300
const BEAT_MS = 10_000
/** By the reader's own clock, and by changes of what is written: the clocks of two machines never meet. */
const SILENT_MS = 60_000
/** How long the storage may be away. */
const AWAY_MS = 30_000
const LONGEST_BYTES = 64 * 1024
/** In the order in which they count. What the leader has said once is acted upon: an error that it has then changes nothing. */
const DECISIONS: readonly EndState[] = ['done', 'partlyDone', 'error']
/** Of a member or a replica set: what was killed after its end may have failed when it began again. */
const ENDS: readonly EndState[] = ['error', 'partlyDone', 'done']

export interface SyncContext {
  readonly store: ObjectStore
  /** Name of the restore. */
  readonly restore: string
  readonly party: TakeOverParty
  readonly signal: AbortSignal
  readonly clock?: Clock
  /** How long the storage may be away, in milliseconds; left out for as long as a database is there to say so. */
  readonly awayMs?: number
}

/** The files by which all members of a cluster agree on a physical restore (PBM: physical.md §4). */
export class SyncFiles {
  readonly #context: SyncContext
  readonly #clock: Clock
  readonly #folder: string
  /** Object → its last heartbeat, and when it was seen to change. */
  readonly #beats = new Map<string, { text: string; at: number }>()
  readonly #looked = new Map<string, number>()
  #awaySince: number | undefined

  constructor(context: SyncContext) {
    this.#context = context
    this.#clock = context.clock ?? systemClock
    this.#folder = `${RESTORES_FOLDER}/${context.restore}/`
  }

  /** Whether this member speaks for all. */
  get leads(): boolean {
    const { isCoordinator, rs, leading } = this.#context.party
    return isCoordinator && rs === leading
  }

  /** What this member has come to. */
  async tell(state: SyncState, error?: string): Promise<void> {
    await this.#write(`${this.#replset}node.${this.#context.party.node}.${state}`, error)
  }

  /** The coordinator's: its replica set has come so far. */
  async tellReplset(state: SyncState, error?: string): Promise<void> {
    await this.#write(`${this.#replset}rs.${state}`, error)
  }

  /** That of the coordinator that leads: all have come so far. */
  async tellCluster(state: SyncState, error?: string): Promise<void> {
    await this.#write(`${this.#folder}cluster.${state}`, error)
  }

  /**
   * This member has come so far; resolves when all have. Rejects with RESTORE_NODE when one has failed or is silent, or time
   * is over.
   *
   * @param before the leader's, when all have come so far and none goes on yet
   */
  async reach(
    state: 'starting' | 'running' | 'copyDone',
    { timeoutMs, before }: { timeoutMs?: number; before?: () => Promise<void> } = {},
  ): Promise<void> {
    const { party } = this.#context
    await this.tell(state)
    if (party.isCoordinator) {
      await this.awaitNodes(party.nodes, state, timeoutMs)
      await this.tellReplset(state)
    }
    if (this.leads) {
      await this.awaitReplsets(party.replsets, state, timeoutMs)
      await before?.()
      await this.tellCluster(state)
      return
    }
    const isSo = async () => {
      if (await this.#exists(`${this.#folder}cluster.${state}`)) return true
      await this.#refuseFailed()
      await this.#requireBeat(`${this.#folder}cluster.hb`, 'the agent that leads the restore')
      return false
    }
    if (!(await this.#until(isSo, timeoutMs))) throw late(`the restore has not come to ${state}`)
  }

  /** Waits until each of `nodes` of this replica set has come so far. Rejects as {@link reach}. */
  async awaitNodes(nodes: readonly string[], state: SyncState, timeoutMs?: number): Promise<void> {
    const isSo = async () => {
      const files = await this.#list()
      for (const node of nodes) {
        const name = `${this.#replset}node.${node}.error`
        if (files.has(`node.${node}.error`)) throw failed(node, await this.#errorIn(name))
        if (node === this.#context.party.node || files.has(`node.${node}.${state}`)) continue
        await this.#requireBeat(`${this.#replset}node.${node}.hb`, `the agent of ${node}`)
      }
      if (nodes.every((node) => files.has(`node.${node}.${state}`))) return true
      await this.#refuseFailed()
      return false
    }
    if (!(await this.#until(isSo, timeoutMs))) throw late(`not all members have come to ${state}`)
  }

  /** The leader's: waits until each of these replica sets has come so far. Rejects as {@link reach}. */
  async awaitReplsets(replsets: readonly string[], state: SyncState, timeoutMs?: number): Promise<void> {
    const isSo = async () => {
      let all = true
      for (const rs of replsets) {
        const of = `${this.#folder}rs.${rs}/rs.`
        if (await this.#exists(`${of}${state}`)) continue
        if (await this.#exists(`${of}error`)) throw failed(rs, await this.#errorIn(`${of}error`))
        if (rs !== this.#context.party.rs) await this.#requireBeat(`${of}hb`, `the agent that leads ${rs}`)
        all = false
      }
      return all
    }
    if (!(await this.#until(isSo, timeoutMs))) throw late(`not all replica sets have come to ${state}`)
  }

  /** Waits until no member of the cluster serves the old files any more, or the restore has ended: gives how. */
  async awaitAllDown(timeoutMs: number): Promise<EndState | undefined> {
    const look = async () => {
      const end = await this.#decision()
      if (end !== undefined) return { end }
      const down = `${this.#folder}rs.${this.#context.party.leading}/rs.down`
      return (await this.#exists(down)) ? { end } : undefined
    }
    const found = await this.#until(look, timeoutMs)
    if (found === undefined) throw late('not all members have ended their servers')
    return found.end
  }

  /** Waits until somebody says that of all members. Rejects where the restore has failed meanwhile, and when time is over. */
  async awaitCluster(state: 'copyReady' | 'copyDone', timeoutMs?: number): Promise<void> {
    const isSo = async () => {
      await this.#refuseFailed()
      return await this.#exists(`${this.#folder}cluster.${state}`)
    }
    if (!(await this.#until(isSo, timeoutMs))) throw late(`the restore has not come to ${state}`)
  }

  /** Agrees on one time: that of the member that leads (PBM: physical.md §4). */
  async agreeOnTime({ t, i }: { readonly t: number; readonly i: number }, timeoutMs: number): Promise<Timestamp> {
    const name = `${this.#folder}cluster.lastTS`
    if (this.leads) await this.#write(name, `${t},${i}`)
    const read = async () => {
      await this.#refuseFailed()
      const [, high, low] = /^\d+:(\d{1,10}),(\d{1,10})$/.exec((await this.#text(name)) ?? '') ?? []
      return high === undefined || low === undefined ? undefined : new Timestamp({ t: Number(high), i: Number(low) })
    }
    return (
      (await this.#until(read, timeoutMs)) ?? Promise.reject(late('the leading member has not told its last write'))
    )
  }

  /** How each of `nodes` has ended; undefined for those that have not when time is over. */
  async outcomes(nodes: readonly string[], timeoutMs: number): Promise<Map<string, EndState | undefined>> {
    return await this.#outcomes(nodes, timeoutMs, async () => {
      const files = await this.#list()
      return (node) => ENDS.find((end) => files.has(`node.${node}.${end}`))
    })
  }

  /** The same of replica sets. */
  async replsetOutcomes(replsets: readonly string[], timeoutMs: number): Promise<Map<string, EndState | undefined>> {
    return await this.#outcomes(replsets, timeoutMs, async () => {
      const ended = new Map<string, EndState>()
      for (const rs of replsets)
        for (const end of ENDS) {
          if (!(await this.#exists(`${this.#folder}rs.${rs}/rs.${end}`))) continue
          ended.set(rs, end)
          break
        }
      return (rs) => ended.get(rs)
    })
  }

  async #outcomes(
    names: readonly string[],
    timeoutMs: number,
    read: () => Promise<(name: string) => EndState | undefined>,
  ): Promise<Map<string, EndState | undefined>> {
    let found = new Map<string, EndState | undefined>()
    const look = async () => {
      const endOf = await read()
      found = new Map(names.map((name) => [name, endOf(name)]))
      return names.every((name) => found.get(name) !== undefined)
    }
    await this.#until(look, timeoutMs)
    return found
  }

  /** How the whole has ended; undefined where nobody has said it yet. */
  async decision(): Promise<EndState | undefined> {
    return (await this.#until(async () => ({ end: await this.#decision() })))?.end
  }

  async #decision(): Promise<EndState | undefined> {
    for (const end of DECISIONS) if (await this.#exists(`${this.#folder}cluster.${end}`)) return end
    return undefined
  }

  /** The same, waited for; undefined when time is over. */
  async awaitDecision(timeoutMs: number): Promise<EndState | undefined> {
    return await this.#until(() => this.#decision(), timeoutMs)
  }

  /** Whether all had come so far. */
  async hasReached(state: SyncState): Promise<boolean> {
    return (await this.#until(async () => ({ is: await this.#exists(`${this.#folder}cluster.${state}`) })))?.is === true
  }

  /** What the leader says that it failed by. */
  async clusterError(): Promise<string> {
    const read = async () => ({ text: await this.#errorIn(`${this.#folder}cluster.error`) })
    return (await this.#until(read))?.text ?? ''
  }

  /** Says that this member is alive until the returned function is called. A beat that fails is left to the next. */
  beat(): () => Promise<void> {
    const stop = new AbortController()
    const { node, isCoordinator } = this.#context.party
    const names = [`${this.#replset}node.${node}.hb`]
    if (isCoordinator) names.push(`${this.#replset}rs.hb`)
    if (this.leads) names.push(`${this.#folder}cluster.hb`)
    const beating = async () => {
      while (!stop.signal.aborted) {
        await Promise.allSettled(names.map((name) => this.#save(name, this.#stamp())))
        await this.#clock.sleep(BEAT_MS, stop.signal).catch(() => undefined)
      }
    }
    const beats = beating()
    return async () => {
      stop.abort()
      await beats
    }
  }

  /** The record of a restore that has ended. */
  async saveRecord(text: string): Promise<void> {
    await this.#save(`${RESTORES_FOLDER}/${this.#context.restore}.json`, text)
  }

  get #replset(): string {
    return `${this.#folder}rs.${this.#context.party.rs}/`
  }

  async #write(name: string, error?: string): Promise<void> {
    let fault: unknown
    const isWritten = async () => {
      fault = await this.#save(name, this.#stamp(error)).then(
        () => undefined,
        (reason: unknown) => ({ reason }),
      )
      return fault === undefined
    }
    const { signal, awayMs = AWAY_MS } = this.#context
    const patience = { clock: this.#clock, signal, everyMs: POLL_MS, timeoutMs: awayMs }
    if (await until(isWritten, patience)) return
    throw away('written', (fault as { reason?: unknown } | undefined)?.reason)
  }

  #stamp(error?: string): string {
    const seconds = Math.floor(this.#clock.now() / 1000)
    return error === undefined ? String(seconds) : `${seconds}:${error}`
  }

  async #save(name: string, text: string): Promise<void> {
    await this.#context.store.save(name, bodyOf(Buffer.from(text)), {})
  }

  /** Names in the folder of this replica set. */
  async #list(): Promise<Set<string>> {
    const { store, signal } = this.#context
    const names = new Set<string>()
    try {
      for await (const { name } of store.list({ prefix: this.#replset, signal }))
        names.add(name.slice(this.#replset.length))
    } catch (error) {
      throw new StorageAway(error)
    }
    return names
  }

  async #refuseFailed(): Promise<void> {
    if (!(await this.#exists(`${this.#folder}cluster.error`))) return
    throw failed('the restore has failed', await this.#errorIn(`${this.#folder}cluster.error`))
  }

  async #requireBeat(name: string, who: string): Promise<void> {
    const now = this.#clock.now()
    if (now - (this.#looked.get(name) ?? Number.NEGATIVE_INFINITY) < BEAT_MS) return
    this.#looked.set(name, now)
    const text = (await this.#text(name)) ?? ''
    const known = this.#beats.get(name)
    if (known?.text !== text) this.#beats.set(name, { text, at: now })
    else if (now - known.at > SILENT_MS)
      throw new PbmError('RESTORE_NODE', `${who} has been silent for ${SILENT_MS / 1000} s`)
  }

  /** A storage that is away for a moment ends nothing: while no database is there, the others may have gone on by it. */
  async #until<T>(look: () => Promise<T | false | undefined>, timeoutMs?: number): Promise<T | undefined> {
    const { signal, awayMs = AWAY_MS } = this.#context
    const clock = this.#clock
    const patient = async () => {
      try {
        const found = await look()
        this.#awaySince = undefined
        return found
      } catch (error) {
        if (!(error instanceof StorageAway)) throw error
        this.#awaySince ??= clock.now()
        // How alive the others are can't be seen either.
        this.#beats.clear()
        if (clock.now() - this.#awaySince < awayMs) return undefined
        throw away('read', error.cause)
      }
    }
    return await until(patient, { clock, signal, everyMs: POLL_MS, timeoutMs })
  }

  async #exists(name: string): Promise<boolean> {
    return (await this.#text(name)) !== undefined
  }

  /** Others may have written it. */
  async #errorIn(name: string): Promise<string> {
    const text = (await this.#text(name)) ?? ''
    return printableLine(text.slice(text.indexOf(':') + 1)).slice(0, 2_000)
  }

  async #text(name: string): Promise<string | undefined> {
    const { store, signal } = this.#context
    try {
      return await readText(store, name, { signal, maxBytes: LONGEST_BYTES })
    } catch (error) {
      if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return undefined
      // It is there, and none of ours.
      if (error instanceof PbmError && error.code === 'OBJECT_TOO_LARGE') return ''
      throw new StorageAway(error)
    }
  }
}

/** What reading the storage failed by. */
class StorageAway extends Error {
  constructor(cause: unknown) {
    super(errorText(cause), { cause })
  }
}

function away(what: string, cause: unknown): PbmError {
  return new PbmError('RESTORE_NODE', `the storage can't be ${what}: ${errorText(cause)}`, { cause })
}

function failed(who: string, error: string): PbmError {
  return new PbmError('RESTORE_NODE', `${who}: ${error}`)
}

function late(what: string): PbmError {
  return new PbmError('RESTORE_NODE', `${what} in time`)
}
