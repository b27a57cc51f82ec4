import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { blocksOf } from './blocks.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

/** Marked ones are run (examples.e2e.ts), `sh` and `yaml` are read (documented-commands, configurations), the others here. */
const LANGUAGES: ReadonlySet<string> = new Set(['sh', 'yaml', 'js', 'ts', 'json', ''])
/** What an example of a suite imports as its own plugin. */
const PLUGINS: readonly (readonly [suite: string, plugin: string])[] = [
  ['storageConformance', '@pbmkit/storage-filesystem'],
  ['compressionConformance', '@pbmkit/compression-gzip'],
  ['encryptionConformance', '@pbmkit/encryption-aes-gcm'],
]

describe('blocks in documents', () => {
  const root = repositoryRoot()
  const files = repositoryFiles(root).filter((path) => path.endsWith('.md') && !path.startsWith('docs/reference/'))
  const all = files.flatMap((file) => blocksOf(readText(root, file)).map((block) => ({ ...block, file })))

  it('are in languages of which there is a test', () => {
    const others = all.filter(({ language }) => !LANGUAGES.has(language))
    assert.deepEqual(
      others.map(({ file, line, language }) => `${file}:${line}: ${language}`),
      [],
    )
  })

  it('of JSON are JSON', () => {
    for (const { file, line, code } of all.filter(({ language }) => language === 'json'))
      assert.doesNotThrow(() => JSON.parse(code), `${file}:${line}`)
  })

  it('of TypeScript, and of JavaScript that is not run, compile', async function () {
    this.timeout(120_000)
    const folder = await mkdtemp(join(tmpdir(), 'pbmkit-blocks-'))
    try {
      await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
      const compilerOptions = { composite: false, noEmit: true, allowJs: true, rootDir: '.' }
      const config = { extends: join(root, 'tsconfig.base.json'), compilerOptions, include: ['*/test'] }
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
      const unrun = all.filter(({ language, isRun }) => language === 'ts' || (language === 'js' && !isRun))
      for (const { file, line, code, language } of unrun) {
        const place = join(folder, `${file.replaceAll(/\W/g, '-')}-${line}`)
        for (const part of ['src', 'test']) await mkdir(join(place, part), { recursive: true })
        const plugin = PLUGINS.find(([suite]) => code.includes(suite))?.[1]
        if (plugin !== undefined) await writeFile(join(place, 'src/index.ts'), `export { default } from '${plugin}'\n`)
        await writeFile(
          join(place, 'test', `example.${language}`),
          code.replaceAll("'./index.js'", "'../src/index.js'"),
        )
      }
      assert.ok(unrun.some(({ language }) => language === 'ts'))
      const compiled = promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', folder])
      await compiled.catch((error: { stdout?: string }) => assert.fail(error.stdout))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('are found with their place and language', () => {
    const text = '<!-- test: a -->\n\n```sh\necho\n```\n\n- b\n  ```ts\n  if (x)\n    y()\n  ```\n'
    assert.deepEqual(blocksOf(text), [
      { language: 'sh', line: 3, code: 'echo', isRun: true },
      { language: 'ts', line: 8, code: 'if (x)\n  y()', isRun: false },
    ])
  })
})
