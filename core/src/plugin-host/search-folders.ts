import { access, readFile } from 'node:fs/promises'
import { basename, dirname, join, matchesGlob, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The folders in whose `node_modules` plugins are looked for from a module at `base` (a file URL), the nearest first: those of
 * the installation the module belongs to. Node.js would go on up to the root of the file system, through folders that others
 * may write to.
 */
export async function searchFolders(base: string): Promise<string[]> {
  const start = dirname(fileURLToPath(base))
  const top = await installationOf(start)
  return ancestorsOf(start).filter((folder) => folder === top || !relative(top, folder).startsWith('..'))
}

/** What has the outermost `node_modules` that the folder lies in; for a checkout its workspaces, or its own package. */
async function installationOf(folder: string): Promise<string> {
  const all = ancestorsOf(folder)
  const installed = all.findLast((ancestor) => basename(ancestor) === 'node_modules')
  if (installed !== undefined) return dirname(installed)
  const own = await firstOf(all, hasManifest)
  if (own === undefined) return folder
  return (await firstOf(ancestorsOf(dirname(own)), (ancestor) => isWorkspaceOf(ancestor, own))) ?? own
}

async function isWorkspaceOf(root: string, folder: string): Promise<boolean> {
  try {
    const { workspaces } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { workspaces?: unknown }
    const place = relative(root, folder)
    return Array.isArray(workspaces) && workspaces.some((pattern) => matchesGlob(place, String(pattern)))
  } catch {
    return false
  }
}

async function hasManifest(folder: string): Promise<boolean> {
  return await access(join(folder, 'package.json')).then(
    () => true,
    () => false,
  )
}

async function firstOf(folders: readonly string[], isOne: (folder: string) => Promise<boolean>) {
  for (const folder of folders) if (await isOne(folder)) return folder
  return undefined
}

/** With itself; the root of the file system last. */
function ancestorsOf(folder: string): string[] {
  const above = dirname(folder)
  return above === folder ? [folder] : [folder, ...ancestorsOf(above)]
}
