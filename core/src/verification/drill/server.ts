import { access, constants } from 'node:fs/promises'
import { requireSpace, type ScratchOptions } from '../../backup/physical/scratch.js'
import { programBeside, type ScratchContext, scratchServer } from '../../backup/physical/scratch-server.js'
import { errorText, PbmError } from '../../errors.js'
import type { DrillContext } from './context.js'

/** Name of the replica set; nobody else is ever a member. */
export const SCRATCH_REPLSET = 'scratch'

/** The server of a drill, without its files. Throws SERVER_UNKNOWN. */
export async function drillServer(
  context: ScratchContext,
  recorded?: Readonly<Record<string, unknown>>,
): Promise<ScratchOptions> {
  return { ...(await scratchServer(context, recorded)), replset: SCRATCH_REPLSET }
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
