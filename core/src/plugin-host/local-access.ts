import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { PbmError } from '../errors.js'
import { mapValues, type SchemaNode } from './schema.js'

/**
 * What the options of plugins may make this process read and run. Options stand in `pbmConfig`, where people write who have
 * no rights on this machine, so this comes from the process's own settings and never from a collection.
 */
export interface LocalAccess {
  /** Files in these folders may be read. */
  readonly folders: readonly string[]
  /** These programs, by their absolute paths, may be run, with whatever arguments the options give. */
  readonly commands: readonly string[]
}

/** Where files for the agent usually lie. No program. */
export const DEFAULT_LOCAL_ACCESS: LocalAccess = {
  folders: ['/etc/pbm', '/etc/pbmkit', '/etc/ssl', '/run/secrets'],
  commands: [],
}

/**
 * Refuses options that lead to a file or program that {@link LocalAccess} does not have. `path` is where the options stand in
 * the configuration. Rejects with CONFIG_LOCAL_FILE and CONFIG_LOCAL_COMMAND.
 */
export async function checkLocalAccess(
  options: unknown,
  schema: SchemaNode,
  path: string,
  access: LocalAccess,
): Promise<void> {
  if (schema.localFile === true && typeof options === 'string') await checkFile(options, path, access)
  if (schema.localCommand === true && Array.isArray(options)) checkCommand(options, path, access)
  if (Array.isArray(options)) {
    for (const item of options) await checkLocalAccess(item, schema.items ?? {}, path, access)
  } else if (typeof options === 'object' && options !== null) {
    for (const [key, value] of Object.entries(options)) {
      const below = schema.properties?.[key] ?? mapValues(schema) ?? {}
      await checkLocalAccess(value, below, `${path}.${key}`, access)
    }
  }
}

async function checkFile(file: string, path: string, { folders }: LocalAccess): Promise<void> {
  // Where links lead counts: who may make a link in an allowed folder could reach anything.
  const target = await real(file)
  for (const folder of folders) if (isInside(target, await real(folder))) return
  const known = folders.length === 0 ? 'none' : folders.join(', ')
  throw new PbmError(
    'CONFIG_LOCAL_FILE',
    `${path} leads to ${file}, and files may be read only from these folders: ${known}`,
    { hint: 'Put the file into one of them, or allow its folder here with --allow-files FOLDER (PBM_ALLOW_FILES)' },
  )
}

function checkCommand(command: readonly unknown[], path: string, { commands }: LocalAccess): void {
  const [program] = command
  if (typeof program === 'string' && isAbsolute(program) && commands.includes(program)) return
  throw new PbmError('CONFIG_LOCAL_COMMAND', `${path} runs ${String(program)}, which is not allowed here`, {
    hint: 'Allow the program by its absolute path where it is to run: --allow-key-command PATH (PBM_ALLOW_KEY_COMMAND)',
  })
}

async function real(path: string): Promise<string> {
  // What is not there can't be read either, and is judged by its name.
  return await realpath(path).catch(() => resolve(path))
}

function isInside(file: string, folder: string): boolean {
  const way = relative(folder, file)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}
