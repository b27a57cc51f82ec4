import { errorText, removeFetched, removeLeftScratch, repairPhysicalBackup } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** At the start of an agent: what one before it, which was killed, has left on this machine. What fails is told, and the agent goes on. */
export async function clearLeftBehind(
  { node, scratchFolder }: { readonly node: MongoClient; readonly scratchFolder: string },
  log: { warning(text: string): void },
): Promise<void> {
  const tell = (what: string) => (error: unknown) => log.warning(`${what}: ${errorText(error)}`)
  // On a mongod that is locked, nothing can be written.
  await repairPhysicalBackup({ node, log }).catch(tell('cannot see whether a physical backup left this mongod locked'))
  await removeFetched(node).catch(tell("what a physical restore had fetched can't be removed"))
  await removeLeftScratch(scratchFolder).catch(tell("what a scratch mongod has left can't be removed"))
}
