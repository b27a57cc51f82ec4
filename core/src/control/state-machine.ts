import type { BackupStatus } from './backup-document.js'
import type { PitrStatus } from './pitr-document.js'
import type { RestoreStatus } from './restore-document.js'

/**
 * Who may move an operation on. `clusterLeader`: the agent beside the primary of the leader replica set. `leader`: the
 * nominee (backup) or primary (restore) of the leader replica set. `nominee`: the agent doing the work in a replica set.
 * `watch`: whoever finds the operation dead. `operator`: a person, through the CLI. `deletion`: the agent that deletes it.
 */
export type Actor = 'clusterLeader' | 'leader' | 'nominee' | 'watch' | 'operator' | 'deletion'

/** The states of an operation as data. Nothing leaves a terminal state, so what failed can never become done. */
export interface StateMachine<State extends string> {
  /** In the order they are passed; a later one implies the earlier ones were reached. Failures stand outside of it. */
  readonly order: readonly State[]
  readonly terminal: readonly State[]
  /** Terminal states that mean failure: reachable from every state that is not terminal. */
  readonly failures: Readonly<Partial<Record<State, readonly Actor[]>>>
  /** From → to → who. */
  readonly transitions: Readonly<Partial<Record<State, Readonly<Partial<Record<State, readonly Actor[]>>>>>>
}

const LEADER: readonly Actor[] = ['leader']
const NOMINEE: readonly Actor[] = ['nominee']

/** A backup as a whole (PBM: control-plane.md §5.1, §5.2). */
export const BACKUP_STATES: StateMachine<BackupStatus> = {
  order: ['starting', 'running', 'copyReady', 'copyDone', 'dumpDone', 'done'],
  terminal: ['done', 'partlyDone', 'canceled', 'error'],
  failures: {
    error: ['clusterLeader', 'leader', 'watch'],
    canceled: ['clusterLeader', 'leader', 'watch'],
  },
  transitions: {
    starting: { running: LEADER },
    // Logical; external; physical.
    running: { dumpDone: LEADER, copyReady: LEADER, done: LEADER },
    // External; physical, of a sharded cluster.
    copyReady: { copyDone: ['operator'], dumpDone: LEADER },
    copyDone: { done: LEADER },
    dumpDone: { done: LEADER },
  },
}

/** One replica set's part of a backup. */
export const BACKUP_REPLSET_STATES: StateMachine<BackupStatus> = {
  order: ['starting', 'running', 'copyReady', 'copyDone', 'dumpDone', 'done'],
  terminal: ['done', 'partlyDone', 'canceled', 'error'],
  failures: { error: ['nominee', 'watch'], canceled: ['nominee', 'watch'] },
  transitions: {
    starting: { running: NOMINEE },
    running: { dumpDone: NOMINEE, copyReady: NOMINEE, done: NOMINEE },
    copyReady: { copyDone: NOMINEE, dumpDone: NOMINEE },
    copyDone: { done: NOMINEE },
    dumpDone: { done: NOMINEE },
  },
}

/** A logical restore or a replay as a whole (PBM: control-plane.md §5.3). */
export const RESTORE_STATES: StateMachine<RestoreStatus> = {
  order: ['starting', 'cleanupCluster', 'running', 'dumpDone', 'done'],
  terminal: ['done', 'partlyDone', 'error'],
  failures: { error: ['clusterLeader', 'leader', 'nominee', 'watch'] },
  transitions: {
    // A replay has nothing to clean up and nothing dumped.
    starting: { cleanupCluster: LEADER, running: LEADER },
    cleanupCluster: { running: LEADER },
    running: { dumpDone: LEADER, done: LEADER },
    dumpDone: { done: LEADER },
  },
}

/** One replica set's part of a logical restore or a replay. */
export const RESTORE_REPLSET_STATES: StateMachine<RestoreStatus> = {
  order: ['starting', 'cleanupCluster', 'running', 'dumpDone', 'done'],
  terminal: ['done', 'partlyDone', 'error'],
  failures: { error: ['nominee', 'watch'] },
  transitions: {
    // A replica set that the backup does not hold goes straight to done (PBM: control-plane.md §5.3).
    starting: { cleanupCluster: NOMINEE, running: NOMINEE, done: NOMINEE },
    cleanupCluster: { running: NOMINEE },
    running: { dumpDone: NOMINEE, done: NOMINEE },
    dumpDone: { done: NOMINEE },
  },
}

/**
 * A backup that is being deleted: whatever it was, it is no good from then on, until its record goes. The only change that
 * leaves an end of {@link BACKUP_STATES}.
 */
export const DELETION_STATES: StateMachine<BackupStatus> = {
  order: [...BACKUP_STATES.order, 'partlyDone', 'canceled', 'error'],
  terminal: [],
  failures: { error: ['deletion'] },
  transitions: {},
}

const CLUSTER_LEADER: readonly Actor[] = ['clusterLeader']

/**
 * Slicing in the whole cluster (PBM: control-plane.md §4, PITR nomination). It has no end; an election begins anew from
 * wherever it is, since the cluster leader before may have died anywhere. `''`: nobody has been elected yet.
 */
export const PITR_STATES: StateMachine<PitrStatus> = {
  order: ['', 'ready', 'running', 'reconfig', 'error'],
  terminal: [],
  failures: {},
  transitions: {
    '': { ready: CLUSTER_LEADER, reconfig: CLUSTER_LEADER },
    ready: { ready: CLUSTER_LEADER, running: CLUSTER_LEADER, error: CLUSTER_LEADER, reconfig: CLUSTER_LEADER },
    running: { ready: CLUSTER_LEADER, reconfig: CLUSTER_LEADER, error: CLUSTER_LEADER },
    reconfig: { ready: CLUSTER_LEADER },
    error: { ready: CLUSTER_LEADER, reconfig: CLUSTER_LEADER },
  },
}

/** What a node may answer to the cluster's status. */
export const PITR_ANSWERS: Readonly<Partial<Record<PitrStatus, readonly PitrStatus[]>>> = {
  ready: ['ready', 'error'],
  running: ['running', 'error'],
  // The cluster leader's, to tell why nobody can.
  error: ['error'],
}

export function isTerminal<State extends string>(machine: StateMachine<State>, state: State): boolean {
  return machine.terminal.includes(state)
}

export function isFailure<State extends string>(machine: StateMachine<State>, state: State): boolean {
  return Object.hasOwn(machine.failures, state)
}

/** Whether an operation in `state` has got to `target` or further; a failed one never has. */
export function hasReached<State extends string>(machine: StateMachine<State>, state: State, target: State): boolean {
  const at = machine.order.indexOf(state)
  return state === target || (at >= 0 && at >= machine.order.indexOf(target) && machine.order.includes(target))
}

/** The states from which `actor` (any, when left out) may move to `to`. */
export function sourcesOf<State extends string>(machine: StateMachine<State>, to: State, actor?: Actor): State[] {
  const may = (actors: readonly Actor[] | undefined) =>
    actors !== undefined && (actor === undefined || actors.includes(actor))
  const states = new Set<State>([...machine.order, ...(Object.keys(machine.transitions) as State[])])
  return [...states].filter((from) => {
    if (isTerminal(machine, from)) return false
    return may(machine.failures[to]) || may(machine.transitions[from]?.[to])
  })
}
