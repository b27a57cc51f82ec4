import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The folder of backups made by PBM itself, or undefined where it is not at hand: `PBMKIT_FIXTURES`, else
 * `../shared/fixtures` beside the repository.
 */
export function fixturesFolder(): string | undefined {
  const given = process.env.PBMKIT_FIXTURES
  if (given) return existsSync(given) ? resolve(given) : undefined
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'lerna.json'))) {
      const beside = join(dirname(folder), 'shared', 'fixtures')
      return existsSync(beside) ? beside : undefined
    }
    if (folder === dirname(folder)) return undefined
  }
}
