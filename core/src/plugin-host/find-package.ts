import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { resolve as resolveModule } from 'import-meta-resolve'
import type { Manifest } from './manifest.js'
import { searchFolders } from './search-folders.js'

/** A package that was found on disk. */
export interface FoundPackage {
  readonly packageName: string
  /** URL of the module behind the package's main export. */
  readonly entry: string
  readonly version: string
  readonly manifest: Manifest
  /** Folder of the package. */
  readonly folder: string
}

/** The package is installed, but its main export leads nowhere: not built, a wrong `exports`, no ESM entry. */
export class BrokenPackage extends Error {}

/**
 * Finds `packageName` as a module at each of `bases` (file URLs) would import it, the first base first; but only in the
 * installation of that module, see {@link searchFolders}.
 *
 * `require.resolve` won't do: it refuses packages whose `exports` only have the `import` condition.
 */
export async function findPackage(packageName: string, bases: readonly string[]): Promise<FoundPackage | undefined> {
  for (const base of bases) {
    for (const place of await searchFolders(base)) {
      const folder = join(place, 'node_modules', packageName)
      const manifest = await readManifest(folder, packageName)
      if (manifest === undefined) continue
      try {
        const entry = resolveModule(packageName, baseOfFolder(place))
        await access(fileURLToPath(entry))
        const version = typeof manifest.version === 'string' ? manifest.version : ''
        return { packageName, entry, version, manifest, folder }
      } catch (cause) {
        throw new BrokenPackage(`the main export of ${packageName} leads to no file`, { cause })
      }
    }
  }
  return undefined
}

async function readManifest(folder: string, packageName: string): Promise<Manifest | undefined> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const manifest: unknown = JSON.parse(text)
    if (typeof manifest === 'object' && manifest !== null) return manifest
    throw new TypeError('it is no object')
  } catch (cause) {
    throw new BrokenPackage(`package.json of ${packageName} can't be read`, { cause })
  }
}

/**
 * The names of the packages in every `node_modules` of {@link searchFolders}. Only names, for lists: no package is opened,
 * and none is loaded because it lies there.
 */
export async function visiblePackages(base: string): Promise<string[]> {
  const names = new Set<string>()
  for (const folder of await searchFolders(base)) {
    for (const name of await packagesIn(join(folder, 'node_modules'))) names.add(name)
  }
  return [...names]
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

/** What a person calls a base: the folder it stands in. */
export function folderOfBase(base: string): string {
  return fileURLToPath(new URL('.', base))
}
