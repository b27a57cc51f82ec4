import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The top of the working tree these tests are part of. */
export function repositoryRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'lerna.json'))) return folder
    if (folder === dirname(folder)) throw new Error('these tests run only inside the repository')
  }
}

/** Every file that is, or would be, committed; paths relative to the root. */
export function repositoryFiles(root: string): string[] {
  const output = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  return output.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))
}

export function readText(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
