import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

export async function firstExecutable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isExecutable(path)) return path
  return undefined
}

/** The path of a program, or undefined when PATH has none. An empty part of PATH is the working folder. */
export async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return firstExecutable((env.PATH ?? '').split(delimiter).map((folder) => join(folder || '.', name)))
}
