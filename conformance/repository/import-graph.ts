import { posix } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'

/**
 * What a file imports: packages as they are named, its neighbours as paths of the repository. Imports of types count, and
 * so do exports from elsewhere, `import()` of a constant name and `typeof import()`.
 *
 * @throws Error where the source can't be parsed
 */
export function importsOf(path: string, source: string): string[] {
  const { module, program, errors } = parseSync(path, source)
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`)
  const found = new Set<string>()
  for (const { moduleRequest } of module.staticImports) found.add(moduleRequest.value)
  for (const { moduleRequest } of module.staticExports.flatMap(({ entries }) => entries))
    if (moduleRequest) found.add(moduleRequest.value)
  // The tree of a whole file is dear; few have such.
  if (/\bimport\s*\(/.test(source)) {
    new Visitor({
      ImportExpression: ({ source }) => {
        if (source.type === 'Literal' && typeof source.value === 'string') found.add(source.value)
      },
      TSImportType: ({ source }) => {
        found.add(source.value)
      },
    }).visit(program)
  }
  return [...found].map((name) => (name.startsWith('.') ? resolveNeighbour(path, name) : name))
}

function resolveNeighbour(importer: string, name: string): string {
  return posix.join(posix.dirname(importer), name).replace(/\.js$/, '.ts')
}

/** What each file imports. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>

export function importGraph(files: readonly string[], read: (path: string) => string): ImportGraph {
  return new Map(files.map((path) => [path, importsOf(path, read(path))]))
}

/** For each group of files that reach one another, one shortest way around, its first file again at its end. */
export function cyclesOf(graph: ImportGraph): string[][] {
  const cycles: string[][] = []
  const told = new Set<string>()
  for (const file of graph.keys()) {
    if (told.has(file)) continue
    const cycle = shortestWayBack(graph, file)
    if (cycle === undefined) continue
    cycles.push(cycle)
    for (const each of cycle) told.add(each)
  }
  return cycles
}

/** Breadth first from a file to itself. */
function shortestWayBack(graph: ImportGraph, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>()
  const queue = [start]
  for (const file of queue) {
    for (const next of graph.get(file) ?? []) {
      if (next === start) {
        const way = [start]
        for (let at = file; at !== start; at = cameFrom.get(at) ?? start) way.unshift(at)
        return [start, ...way]
      }
      if (!graph.has(next) || cameFrom.has(next)) continue
      cameFrom.set(next, file)
      queue.push(next)
    }
  }
  return undefined
}
