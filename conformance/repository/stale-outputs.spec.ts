import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { repositoryRoot } from './files.js'

describe('outputs of sources that are gone', () => {
  it('are removed, and no others', () => {
    const root = mkdtempSync(join(tmpdir(), 'pbmkit-stale-'))
    try {
      const write = (path: string, text = '') => {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        writeFileSync(join(root, path), text)
      }
      mkdirSync(join(root, 'scripts'))
      cpSync(join(repositoryRoot(), 'scripts', 'stale-outputs.mjs'), join(root, 'scripts', 'stale-outputs.mjs'))
      write('tsconfig.json', '{"references": [{"path": "core"}, {"path": "kit"}, {"path": "kit/bed"}]}')
      write('core/tsconfig.json', '{"compilerOptions": {"rootDir": "src", "outDir": "dist"}}')
      write('kit/tsconfig.json', '{"compilerOptions": {"rootDir": ".", "outDir": "dist"}}')
      write('kit/bed/tsconfig.json', '{"compilerOptions": {"rootDir": ".", "outDir": "../dist/bed"}}')
      for (const source of ['core/src/a.ts', 'kit/src/b.ts', 'kit/bed/c.ts']) write(source)
      for (const output of ['a.js', 'a.js.map', 'a.d.ts', 'a.d.ts.map', 'tsconfig.tsbuildinfo', 'data.json'])
        write(`core/dist/${output}`)
      for (const output of ['old.spec.js', 'old.spec.js.map', 'old.spec.d.ts', 'old.spec.d.ts.map'])
        write(`core/dist/moved/${output}`)
      for (const output of ['src/b.js', 'b.js', 'bed/c.js', 'bed/d.js']) write(`kit/dist/${output}`)
      execFileSync(process.execPath, [join(root, 'scripts', 'stale-outputs.mjs')])
      const left = (folder: string) =>
        readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => entry.name)
          .sort()
      assert.deepEqual(left('core/dist'), [
        'a.d.ts',
        'a.d.ts.map',
        'a.js',
        'a.js.map',
        'data.json',
        'tsconfig.tsbuildinfo',
      ])
      assert.deepEqual(left('kit/dist'), ['b.js', 'c.js'])
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})
