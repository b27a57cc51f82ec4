import type { MongoClient } from 'mongodb'
import { errorText, PbmError } from '../../errors.js'
import type { ScratchSettings } from '../../mongo/scratch-settings.js'
import { serverOptions } from '../../mongo/server-options.js'
import { openingOptions } from './layout.js'
import type { ScratchOptions } from './scratch.js'
import { programOf } from './server-program.js'

export interface ScratchContext {
  /** Direct connection to the mongod beside the agent, which is only asked how it was started. */
  readonly node: MongoClient
  readonly scratch: ScratchSettings
  readonly signal: AbortSignal
}

/**
 * A scratch server of this machine, without its files. Throws SERVER_UNKNOWN.
 *
 * @param recorded options of the server that the files are of
 */
export async function scratchServer(
  { node, scratch, signal }: ScratchContext,
  recorded?: Readonly<Record<string, unknown>>,
): Promise<ScratchOptions> {
  const { folder: parent, cacheGb, keepFree, mongod } = scratch
  const path = mongod ?? (await programBeside(node))
  return { parent, path, mongodOpts: openingOptions(recorded), cacheGb, keepFree, signal }
}

/** Throws SERVER_UNKNOWN. */
export async function programBeside(node: MongoClient): Promise<string> {
  try {
    return (await programOf(await serverOptions(node))).path
  } catch (cause) {
    throw new PbmError('SERVER_UNKNOWN', `it is not known which mongod to start: ${errorText(cause)}`, {
      hint: 'Say which with --scratch-mongod of the agent (PBM_SCRATCH_MONGOD)',
      cause,
    })
  }
}
