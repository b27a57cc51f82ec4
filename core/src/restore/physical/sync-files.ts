import { errorText, PbmError } from '../../errors.js'
import { hasCode } from '../../plugin/errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { printableLine } from '../../secrets/printable.js'
import { RESTORES_FOLDER } from '../../store/layout/names.js'
import { readText } from '../../store/layout/read-text.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'

/**
 * `copyDone` comes before `down` here, and means that all files of the backup lie beside the data, with their checksums
 * right: PBM has it of external restores only.
 */
export type SyncState = 'starting' | 'running' | 'copyDone' | 'down' | 'done' | 'partlyDone' | 'error'

const POLL_MS = 500
const BEAT_MS = 10_000
/** By the reader's own clock, and by changes of what is written: the clocks of two machines never meet. */
const SILENT_MS = 60_000
const LONGEST_BYTES = 64 * 1024

export interface SyncContext {
  readonly store: ObjectStore
  /** Name of the restore. */
  readonly restore: string
  readonly rs: string
  /** `host:port` of this member. */
  readonly node: string
  readonly signal: AbortSignal
  readonly clock?: Clock
}

/** The files by which the members of a replica set agree on a physical restore (PBM: physical.md §4). */
export class SyncFiles {
  readonly #context: SyncContext
  readonly #clock: Clock
  readonly #folder: string
  /** Node → its last heartbeat, and when it was seen to change. */
  readonly #beats = new Map<string, { text: string; at: number }>()
  #looked = Number.NEGATIVE_INFINITY

  constructor(context: SyncContext) {
    this.#context = context
    this.#clock = context.clock ?? systemClock
    this.#folder = `${RESTORES_FOLDER}/${context.restore}/`
  }

  /** What this member has come to. */
  async tell(state: SyncState, error?: string): Promise<void> {
    await this.#write(`${this.#replset}node.${this.#context.node}.${state}`, error)
  }

  /** The coordinator's: all have come so far. */
  async tellAll(state: SyncState, error?: string): Promise<void> {
    await this.#write(`${this.#replset}rs.${state}`, error)
    // Of replica sets only: nobody waits for it.
    if (state !== 'down') await this.#write(`${this.#folder}cluster.${state}`, error)
  }

  /** Waits until each of `nodes` has come so far. Rejects with RESTORE_NODE when one has failed or is silent. */
  async awaitNodes(nodes: readonly string[], state: SyncState, timeoutMs?: number): Promise<void> {
    const isSo = async () => {
      const files = await this.#list()
      await this.#requireAlive(files, nodes)
      return nodes.every((node) => files.has(`node.${node}.${state}`))
    }
    if (await this.#until(isSo, timeoutMs)) return
    throw new PbmError('RESTORE_NODE', `not all members have come to ${state} in time`)
  }

  /** How each of `nodes` has ended; undefined for those that have not when time is over. */
  async outcomes(nodes: readonly string[], timeoutMs: number): Promise<Map<string, 'done' | 'error' | undefined>> {
    const look = async () => {
      const files = await this.#list()
      const found = nodes.map((node) => [node, this.#outcomeOf(files, node)] as const)
      return found.every(([, outcome]) => outcome !== undefined) && new Map(found)
    }
    const all = await this.#until(look, timeoutMs)
    if (all !== undefined) return all
    const files = await this.#list()
    return new Map(nodes.map((node) => [node, this.#outcomeOf(files, node)]))
  }

  /** Waits for the coordinator's word. Gives `error` where it comes instead; undefined when time is over. */
  async awaitCluster(states: readonly SyncState[], timeoutMs?: number): Promise<SyncState | undefined> {
    const wanted: readonly SyncState[] = [...states, 'error']
    return await this.#until(async () => {
      for (const state of wanted) if (await this.#exists(`${this.#folder}cluster.${state}`)) return state
      return undefined
    }, timeoutMs)
  }

  /** What the coordinator says that it failed by. */
  async clusterError(): Promise<string> {
    return await this.#errorIn(`${this.#folder}cluster.error`)
  }

  /** Says that this member is alive until the returned function is called. A beat that fails is left to the next. */
  beat(isCoordinator: boolean): () => Promise<void> {
    const stop = new AbortController()
    const names = [`${this.#replset}node.${this.#context.node}.hb`]
    if (isCoordinator) names.push(`${this.#replset}rs.hb`, `${this.#folder}cluster.hb`)
    const beating = async () => {
      while (!stop.signal.aborted) {
        await Promise.allSettled(names.map((name) => this.#write(name)))
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
    return `${this.#folder}rs.${this.#context.rs}/`
  }

  async #write(name: string, error?: string): Promise<void> {
    const seconds = Math.floor(this.#clock.now() / 1000)
    await this.#save(name, error === undefined ? String(seconds) : `${seconds}:${error}`)
  }

  async #save(name: string, text: string): Promise<void> {
    await this.#context.store.save(name, bodyOf(Buffer.from(text)), {})
  }

  /** Names in the folder of the replica set. */
  async #list(): Promise<Set<string>> {
    const { store, signal } = this.#context
    const names = new Set<string>()
    for await (const { name } of store.list({ prefix: this.#replset, signal }))
      names.add(name.slice(this.#replset.length))
    return names
  }

  async #requireAlive(files: ReadonlySet<string>, nodes: readonly string[]): Promise<void> {
    for (const node of nodes) {
      if (!files.has(`node.${node}.error`)) continue
      const error = await this.#errorIn(`${this.#replset}node.${node}.error`)
      throw new PbmError('RESTORE_NODE', `${node}: ${error}`)
    }
    const now = this.#clock.now()
    if (now - this.#looked < BEAT_MS) return
    this.#looked = now
    for (const node of nodes) {
      if (node === this.#context.node) continue
      const text = (await this.#text(`${this.#replset}node.${node}.hb`)) ?? ''
      const known = this.#beats.get(node)
      if (known?.text !== text) this.#beats.set(node, { text, at: now })
      else if (now - known.at > SILENT_MS) {
        throw new PbmError('RESTORE_NODE', `${node}: its agent has been silent for ${SILENT_MS / 1000} s`)
      }
    }
  }

  #outcomeOf(files: ReadonlySet<string>, node: string): 'done' | 'error' | undefined {
    if (files.has(`node.${node}.error`)) return 'error'
    return files.has(`node.${node}.done`) ? 'done' : undefined
  }

  async #until<T>(look: () => Promise<T | false | undefined>, timeoutMs: number | undefined): Promise<T | undefined> {
    const { signal } = this.#context
    const clock = this.#clock
    return await until(look, { clock, signal, everyMs: POLL_MS, timeoutMs })
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
      throw new PbmError('RESTORE_NODE', `the storage can't be read: ${errorText(error)}`, { cause: error })
    }
  }
}
