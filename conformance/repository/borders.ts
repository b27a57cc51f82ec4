import type { Border } from './border-rules.js'
import type { ImportGraph } from './import-graph.js'

/** Tests and their helpers, which may look into anything that is built. */
export function isTest(path: string): boolean {
  return /\.(spec|e2e|support|test)\.ts$|\/e2e\/|\/test\//.test(path)
}

/** Arrows that point up, and files that stand nowhere: `floors` from the ground up, within the folder `root`. */
export function floorFaults(graph: ImportGraph, root: string, floors: readonly string[]): string[] {
  const faults: string[] = []
  const floorOf = (path: string) => longestPrefix(path.slice(root.length + 1), floors)
  for (const [file, imports] of graph) {
    if (!file.startsWith(`${root}/`) || isTest(file)) continue
    const floor = floorOf(file)
    if (floor === undefined) {
      faults.push(`${file}: stands on no floor; name its folder in border-rules.ts`)
      continue
    }
    for (const imported of imports) {
      const other = imported.startsWith(`${root}/`) ? floorOf(imported) : undefined
      if (other !== undefined && floors.indexOf(other) > floors.indexOf(floor))
        faults.push(`${file} → ${imported}: ${floor} may not import ${other}: ${other} stands above it`)
    }
  }
  return faults
}

/** Imports of our own packages and of neighbours' folders that no border allows. */
export function borderFaults(graph: ImportGraph, borders: readonly Border[]): string[] {
  const faults: string[] = []
  const folders = borders.map(({ folder }) => folder)
  for (const [file, imports] of graph) {
    const folder = longestPrefix(file, folders)
    const border = borders.find((each) => each.folder === folder)
    if (border === undefined) {
      faults.push(`${file}: is behind no border; name its folder in border-rules.ts`)
      continue
    }
    const allowed = [...border.may, ...((isTest(file) && border.testsMay) || [])]
    for (const imported of imports) {
      // A path of the repository is a key of the graph; everything else is the name of a package.
      const target = graph.has(imported) ? longestPrefix(imported, folders) : imported
      const own = graph.has(imported) ? target === border.folder : !/^@?pbmkit\b/.test(imported)
      if (own || allowed.some((each) => each === target)) continue
      const which = isTest(file) ? 'tests of ' : ''
      faults.push(
        `${file} → ${imported}: ${which}${border.folder} may import ${allowed.join(', ') || 'nothing of ours'}`,
      )
    }
  }
  return faults
}

/** Imports of vendors' libraries in folders that know no vendor. Tests are free. */
export function vendorFaults(graph: ImportGraph, folders: readonly string[], vendors: readonly string[]): string[] {
  const isVendor = (name: string) =>
    vendors.some((vendor) => (vendor.endsWith('/*') ? name.startsWith(vendor.slice(0, -1)) : name === vendor))
  return [...graph]
    .filter(([file]) => folders.some((folder) => file.startsWith(folder)) && !isTest(file))
    .flatMap(([file, imports]) =>
      imports.filter(isVendor).map((name) => `${file} → ${name}: only plugins know vendors`),
    )
}

function longestPrefix(path: string, prefixes: readonly string[]): string | undefined {
  return prefixes
    .filter((prefix) => path === prefix || path.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length)[0]
}
