// Removes what was compiled from sources that are no longer where they were: tsc leaves it, and mocha and the coverage
// would take it for a part of the project. No dependencies, and no syntax newer than Node 20: the set-up runs it.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OUTPUT = /\.(js|d\.ts)(\.map)?$/

/** Removes it, and gives the paths. */
export function removeStaleOutputs(root) {
  const { references } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
  const projects = references
    .map(({ path }) => {
      const folder = join(root, path)
      const { rootDir, outDir } = JSON.parse(readFileSync(join(folder, 'tsconfig.json'), 'utf8')).compilerOptions
      return { sources: resolve(folder, rootDir), out: resolve(folder, outDir) }
    })
    // A project may compile into a folder of another one's.
    .sort((a, b) => b.out.length - a.out.length)
  const stale = []
  for (const { out } of projects.filter(({ out }) => existsSync(out))) {
    for (const entry of readdirSync(out, { recursive: true })) {
      const path = join(out, entry)
      const project = projects.find((each) => path.startsWith(`${each.out}/`))
      if (project.out !== out || !OUTPUT.test(entry)) continue
      if (!existsSync(join(project.sources, entry.replace(OUTPUT, '.ts')))) stale.push(path)
    }
  }
  for (const path of stale) rmSync(path)
  return stale.map((path) => relative(root, path))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  removeStaleOutputs(dirname(dirname(fileURLToPath(import.meta.url))))
