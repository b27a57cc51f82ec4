import { posix } from 'node:path'
import { isTest } from './borders.js'
import type { ImportGraph } from './import-graph.js'

const NAME = /^[a-z0-9-]+(\.(spec|e2e|support))?\.ts$/
const TEST = /\.(spec|e2e)\.ts$/

/**
 * Files whose names do not say what they are: mocha runs all of `*.spec.ts` and `*.e2e.ts`, what these share are
 * `*.support.ts`, and nothing else imports those.
 */
export function nameFaults(graph: ImportGraph): string[] {
  const faults: string[] = []
  for (const [file, imports] of graph) {
    if (!NAME.test(posix.basename(file)))
      faults.push(`${file}: is no name.ts, name.spec.ts, name.e2e.ts or name.support.ts`)
    for (const imported of imports) {
      if (TEST.test(imported)) faults.push(`${file} → ${imported}: what tests share is a *.support.ts`)
      else if (imported.endsWith('.support.ts') && !isTest(file))
        faults.push(`${file} → ${imported}: only tests import their helpers; what is more than that is named otherwise`)
    }
  }
  return faults
}
