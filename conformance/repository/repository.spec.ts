import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

describe('the repository', () => {
  const root = repositoryRoot()
  const files = repositoryFiles(root)
  const sources = files.filter((path) => /\.(ts|mts|js|mjs|sh)$/.test(path))

  it('is formatted and free of lint findings', () => {
    const { status, stdout, stderr } = spawnSync(
      join(root, 'node_modules', '.bin', 'biome'),
      ['ci', '--colors=off', '.'],
      {
        cwd: root,
        encoding: 'utf8',
      },
    )
    assert.equal(status, 0, `${stdout}${stderr}`)
  })

  it('has no file, export or dependency that nothing needs, and lists every package that it imports', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'node_modules', 'knip', 'bin', 'knip.js'), '--no-progress'],
      { cwd: root, encoding: 'utf8' },
    )
    assert.equal(status, 0, `${stdout}${stderr}`)
  })

  it('has a README in every package', () => {
    const packages = files.filter((path) => path.endsWith('package.json')).map((path) => dirname(path))
    const lacking = packages.filter((folder) => !existsSync(join(root, folder, 'README.md')))
    assert.deepEqual(lacking, [])
  })

  it('promises nothing for later in its sources', () => {
    // Put together here, so that this file does not find itself.
    const marks = new RegExp(
      `\\b(${['TO', 'FIX', 'XX'].map((start, index) => start + ['DO', 'ME', 'X'][index]).join('|')})\\b`,
    )
    const found = sources.filter((path) => marks.test(readText(root, path)))
    assert.deepEqual(found, [])
  })

  it('keeps to # for what is private; a constructor can have the keyword only', () => {
    const keyword = /^ *(?:@\w+\(.*\) )?(?:static |async )*(?:private|protected) (?!constructor\b)/m
    const found = sources.filter((path) => path.endsWith('.ts') && keyword.test(readText(root, path)))
    assert.deepEqual(found, [])
  })

  it('runs every test it has', () => {
    const tests = files.filter((path) => /\.(spec|e2e)\.ts$/.test(path))
    // With a title: `context.skip()` inside a test, where the machine lacks what it needs, is another thing.
    const narrowed = tests.filter((path) => /\b(describe|it|context)\.(only|skip)\(\s*['"`]/.test(readText(root, path)))
    assert.deepEqual(narrowed, [])
  })

  // On a clone where nothing is compiled yet, the compiler takes the projects in the order of their references.
  it('refers to every project whose package it imports', () => {
    const referencesOf = (folder: string) => {
      const { references = [] } = JSON.parse(readText(root, join(folder, 'tsconfig.json'))) as {
        references?: { path: string }[]
      }
      return references.map(({ path }) => normalize(join(folder, path)))
    }
    const projects = referencesOf('.')
    const folders = new Map(
      files
        .filter((path) => path.endsWith('package.json'))
        .map((path) => [(JSON.parse(readText(root, path)) as { name: string }).name, dirname(path)]),
    )
    const missing = new Set<string>()
    for (const path of sources) {
      const project = projects.filter((folder) => path.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)[0]
      if (project === undefined || !path.endsWith('.ts') || path.includes('/templates/')) continue
      for (const [, name = ''] of readText(root, path).matchAll(/(?:\bfrom|\bimport\()\s*'(@pbmkit\/[^/']+)/g)) {
        const imported = folders.get(name)
        if (imported === undefined || project.startsWith(imported)) continue
        if (!referencesOf(project).some((folder) => folder.startsWith(imported)))
          missing.add(`${project} → ${imported}`)
      }
    }
    assert.deepEqual([...missing], [])
  })

  it('keeps source files readable at one sitting', () => {
    const long = sources.filter((path) => readText(root, path).split('\n').length > 401)
    assert.deepEqual(long, [])
  })
})
