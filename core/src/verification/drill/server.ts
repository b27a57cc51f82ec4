import { access, constants } from 'node:fs/promises'
import { layoutOf } from '../../backup/physical/layout.js'
import { requireSpace, type ScratchOptions } from '../../backup/physical/scratch.js'
import { programOf } from '../../backup/physical/server-program.js'
import { errorText, PbmError } from '../../errors.js'
import { serverOptions } from '../../mongo/server-options.js'
import type { DrillContext } from './context.js'

/** Name of the replica set; nobody else is ever a member. */
export const SCRATCH_REPLSET = 'scratch'

const JOURNAL_COMPRESSORS: readonly unknown[] = ['none', 'snappy', 'zlib', 'zstd']

/** The server of a drill, without its files. Throws SERVER_UNKNOWN. */
export async function drillServer(
  { node, scratch, signal }: Pick<DrillContext, 'node' | 'scratch' | 'signal'>,
  recorded?: Readonly<Record<string, unknown>>,
): Promise<ScratchOptions> {
  const { folder: parent, cacheGb, keepFree, mongod } = scratch
  const path = mongod ?? (await programBeside(node))
  const mongodOpts = openingOptions(recorded)
  return { parent, path, mongodOpts, cacheGb, keepFree, signal, replset: SCRATCH_REPLSET }
}

/**
 * Whether this agent knows a program, and has room for at least so many bytes. Throws SERVER_UNKNOWN and SCRATCH_SPACE.
 *
 * @param needs of the backup, as it is stored
 */
export async function requireDrillable(
  { node, scratch }: Pick<DrillContext, 'node' | 'scratch'>,
  needs: number,
): Promise<void> {
  const { mongod, folder: parent, keepFree } = scratch
  await requireSpace({ parent, keepFree }, needs)
  if (mongod === undefined) await programBeside(node)
  else {
    await access(mongod, constants.X_OK).catch((cause: unknown) => {
      throw new PbmError('SERVER_UNKNOWN', `${mongod} can't be run: ${errorText(cause)}`, {
        hint: 'See --scratch-mongod of the agent',
      })
    })
  }
}

async function programBeside(node: DrillContext['node']): Promise<string> {
  try {
    return (await programOf(await serverOptions(node))).path
  } catch (cause) {
    throw new PbmError('SERVER_UNKNOWN', `it is not known which mongod to start: ${errorText(cause)}`, {
      hint: 'Say which with --scratch-mongod of the agent (PBM_SCRATCH_MONGOD)',
      cause,
    })
  }
}

/** How files were laid out, by a record that comes from a storage: nothing else of it gets into a command line. */
function openingOptions(recorded: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> {
  const { directoryPerDB, directoryForIndexes } = layoutOf(recorded)
  const storage = recorded?.storage as Record<string, Record<string, Record<string, unknown>>> | undefined
  const compressor = storage?.wiredTiger?.engineConfig?.journalCompressor
  const journalCompressor = JOURNAL_COMPRESSORS.includes(compressor) ? compressor : 'snappy'
  return { storage: { directoryPerDB, wiredTiger: { engineConfig: { directoryForIndexes, journalCompressor } } } }
}
