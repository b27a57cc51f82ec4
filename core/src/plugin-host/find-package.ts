import { access, readdir, readFile } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { resolve as resolveModule } from 'import-meta-resolve'

/** A package that was found on disk. */
export interface FoundPackage {
  readonly packageName: string
  /** URL of the module behind the package's main export. */
  readonly entry: string
  readonly version: string
  /** Folder of the package. */
  readonly folder: string
}

/** The package is installed, but its main export leads nowhere: not built, a wrong `exports`, no ESM entry. */
export class BrokenPackage extends Error {}

/**
 * Finds `packageName` as a module at each of `bases` (file URLs) would import it, the first base first.
 *
 * `require.resolve` won't do: it refuses packages whose `exports` only have the `import` condition.
 */
export async function findPackage(packageName: string, bases: readonly string[]): Promise<FoundPackage | undefined> {
  for (const base of bases) {
    const manifest = manifestPath(packageName, base)
    if (manifest === undefined) continue
    const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version?: string }
    try {
      const entry = resolveModule(packageName, base)
      await access(fileURLToPath(entry))
      return { packageName, entry, version: version ?? '', folder: manifest.replace(/[\\/]package\.json$/, '') }
    } catch (cause) {
      throw new BrokenPackage(`the main export of ${packageName} leads to no file`, { cause })
    }
  }
  return undefined
}

/**
 * The names of the packages in every `node_modules` that a module at `base` looks into. Only names, for lists: no package
 * is opened, and none is loaded because it lies there.
 */
export async function visiblePackages(base: string): Promise<string[]> {
  const names = new Set<string>()
  for (let folder = dirname(fileURLToPath(base)); ; folder = dirname(folder)) {
    for (const name of await packagesIn(join(folder, 'node_modules'))) names.add(name)
    if (dirname(folder) === folder) return [...names]
  }
}

async function packagesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch(() => [])
  const named = await Promise.all(
    entries.map(async (entry) => {
      if (!entry.startsWith('@')) return [entry]
      const scoped = await readdir(join(folder, entry)).catch(() => [])
      return scoped.map((name) => `${entry}/${name}`)
    }),
  )
  return named.flat()
}

/** The base for a folder into which plugins were installed with `npm install --prefix`. */
export function baseOfFolder(folder: string): string {
  return new URL('resolve-from-here.js', `${pathToFileURL(folder).href.replace(/\/*$/, '')}/`).href
}

function manifestPath(packageName: string, base: string): string | undefined {
  try {
    return findPackageJSON(packageName, base)
  } catch {
    // Node answers "not installed" with ERR_MODULE_NOT_FOUND, also where the base's folder is not there.
    return undefined
  }
}

/** What a person calls a base: the folder it stands in. */
export function folderOfBase(base: string): string {
  return fileURLToPath(new URL('.', base))
}
