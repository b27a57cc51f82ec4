import { type Command, Option } from 'commander'
import { usageError } from './errors.js'
import type { Session } from './session.js'

export interface RemappingOption {
  replsetRemapping?: string
}

const VARIABLE = 'PBM_REPLSET_REMAPPING'

/** `--replset-remapping`, which PBM documents in the environment too, where it has no effect there. */
export function addRemappingOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--replset-remapping <map>',
      `replica sets that have other names in this cluster: <here>=<in the backup>, separated by commas ($${VARIABLE})`,
    ),
  )
}

/** Name of a replica set in the backup → in this cluster. The flag goes before the environment. */
export function remappingOf(session: Session, { replsetRemapping }: RemappingOption): Record<string, string> {
  const fromEnvironment = session.io.env[VARIABLE]
  if (replsetRemapping !== undefined) return parseRemapping(replsetRemapping, '--replset-remapping')
  return fromEnvironment === undefined ? {} : parseRemapping(fromEnvironment, VARIABLE)
}

/** `target=source,…`. Each name may stand once on each side. */
export function parseRemapping(text: string, where: string): Record<string, string> {
  const map: Record<string, string> = {}
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [target = '', source = '', ...more] = pair.split('=').map((name) => name.trim())
    if (target === '' || source === '' || more.length > 0)
      throw usageError(
        `${where}: '${pair}' is not <in this cluster>=<in the backup>`,
        'For example: new1=old1,new2=old2',
      )
    if (Object.hasOwn(map, source)) throw usageError(`${where}: ${source} of the backup is named twice`)
    if (Object.values(map).includes(target)) throw usageError(`${where}: ${target} of this cluster is named twice`)
    map[source] = target
  }
  return map
}
