import {
  findRestore,
  listRestores,
  openStore,
  PbmError,
  parseConfig,
  type RestoreDocument,
  readPhysicalRestore,
  rfc3339,
} from '@pbmkit/core'
import { Command } from 'commander'
import { readTextOf } from '../io.js'
import { yamlText } from '../output/yaml.js'
import type { Run, Session } from '../session.js'
import { suggest } from '../suggest.js'

/** `pbm describe-restore NAME`: YAML for people, the same fields and the raw times as JSON. */
export function describeRestoreCommand(run: Run): Command {
  return new Command('describe-restore')
    .description('show one restore in detail')
    .argument('<name>', 'name of the restore, as pbm list --restore has it')
    .option(
      '-c, --config <file>',
      'read a physical restore from the storage of this configuration, without a database; - is standard input',
    )
    .action((name: string, options: { config?: string }, command: Command) =>
      run(command, async (session) => {
        const { config } = options
        const restore =
          config === undefined ? await fromDatabase(session, name) : await fromStorage(session, config, name)
        const described = describe(restore)
        session.output.result(described, () => yamlText(withoutRawTimes(described)))
      }),
    )
}

async function fromDatabase(session: Session, name: string): Promise<RestoreDocument> {
  const leader = await session.leader()
  const restore = await findRestore(leader, name)
  if (restore !== undefined) return restore
  const near = suggest(
    name,
    (await listRestores(leader)).map((known) => known.name),
  )
  throw new PbmError('RESTORE_NOT_FOUND', `there is no restore '${name}'`, {
    hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'See pbm list --restore.',
  })
}

/** While a physical restore runs, no database is there; and after it, only the newest one is in it. */
async function fromStorage(session: Session, file: string, name: string): Promise<RestoreDocument> {
  const { plugins, output, io } = session
  const { storage } = await parseConfig(await readTextOf(file, io), plugins)
  const context = { signal: io.signal, warn: (text: string) => output.warn(text) }
  const store = await openStore(plugins, storage, context, { mustExist: true })
  try {
    const restore = await readPhysicalRestore(store, name, { signal: io.signal })
    if (restore !== undefined) return restore
    throw new PbmError('RESTORE_NOT_FOUND', `there is no physical restore '${name}' on this storage`, {
      hint: 'Check its name, and that the file names the main storage of the cluster.',
    })
  } finally {
    await store.close()
  }
}

const ENDED: ReadonlySet<string> = new Set(['done', 'partlyDone', 'error'])

function describe(restore: RestoreDocument) {
  const toTime = Number(restore.pitr ?? 0)
  return {
    name: restore.name,
    opid: restore.opid,
    backup: restore.backup,
    type: restore.type,
    status: restore.status,
    error: restore.status === 'error' ? (restore.error ?? '') : undefined,
    namespaces: restore.nss,
    selection: restore.selection,
    start_ts: Number(restore.start_ts),
    start: rfc3339(Number(restore.start_ts)),
    finish: restore.status === 'done' ? rfc3339(Number(restore.last_transition_ts)) : undefined,
    ts_to_restore: toTime === 0 ? undefined : toTime,
    time_to_restore: toTime === 0 ? undefined : rfc3339(toTime),
    ...transition(restore),
    replsets: restore.replsets.map((replset) => ({
      name: replset.name,
      status: replset.status,
      node: replset.node,
      partial_txn: replset.partial_txn && replset.partial_txn.length > 0 ? replset.partial_txn : undefined,
      ...transition(replset),
      error: replset.error || undefined,
      unbuilt_indexes: replset.unbuilt_indexes,
      merged: replset.merged,
      gained_roles: replset.gained_roles,
      nodes: replset.nodes?.map((node) => ({
        name: node.name,
        status: node.status,
        error: node.conditions.at(-1)?.error || undefined,
        ...transition(node),
      })),
      // What an ended one did last says nothing.
      progress: ENDED.has(restore.status) ? undefined : replset.progress,
    })),
  }
}

function transition({ last_transition_ts }: { last_transition_ts: number }) {
  const seconds = Number(last_transition_ts)
  return { last_transition_ts: seconds, last_transition_time: rfc3339(seconds) }
}

const RAW = ['start_ts', 'ts_to_restore', 'last_transition_ts']

function withoutRawTimes(described: ReturnType<typeof describe>): object {
  const cut = (value: object) => Object.fromEntries(Object.entries(value).filter(([key]) => !RAW.includes(key)))
  const replsets = described.replsets.map((replset) => ({
    ...cut(replset),
    ...(replset.nodes === undefined ? {} : { nodes: replset.nodes.map(cut) }),
  }))
  return { ...cut(described), replsets }
}
