import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { main } from './main.js'
import { KINDS } from './scaffold.js'

describe('create-pbmkit-plugin', () => {
  let cwd: string
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'create-plugin-'))
  })
  afterEach(() => rm(cwd, { recursive: true, force: true }))

  async function run(args: string[], stdin: NodeJS.ReadableStream = Readable.from([])) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const code = await main(args, { stdin, stdout, stderr, cwd })
    return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
  }

  for (const kind of KINDS) {
    it(`makes a ${kind} plugin with its name everywhere and nothing left to fill in`, async () => {
      const { code, stdout } = await run([kind, 'acme-cloud'])
      assert.equal(code, 0)
      const folder = join(cwd, `pbmkit-${kind}-acme-cloud`)
      assert.ok(stdout.includes(`cd ${folder}`))
      const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
      const names = files.map(({ name }) => name)
      for (const expected of ['package.json', 'tsconfig.json', 'README.md', '.gitignore', 'ci.yml', 'index.ts'])
        assert.ok(names.includes(expected), expected)
      for (const { parentPath, name } of files) {
        const text = await readFile(join(parentPath, name), 'utf8')
        assert.doesNotMatch(text, /__[A-Z]+__/, name)
      }
      const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { name: string }
      assert.equal(manifest.name, `pbmkit-${kind}-acme-cloud`)
      assert.match(await readFile(join(folder, 'src', 'index.ts'), 'utf8'), /name: 'acme-cloud'/)
    })
  }

  it('asks on a terminal for what is missing', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    stdin.write('storage\n')
    setImmediate(() => setTimeout(() => stdin.write('asked\n'), 50))
    const { code, stdout } = await run([], stdin)
    assert.equal(code, 0, stdout)
    assert.match(stdout, /What kind of plugin/)
    assert.deepEqual(await readdir(cwd), ['pbmkit-storage-asked'])
  })

  it('takes a scope and a folder', async () => {
    assert.equal((await run(['storage', 'x', '--scope', '@acme', '--dir', 'here'])).code, 0)
    const manifest = JSON.parse(await readFile(join(cwd, 'here', 'package.json'), 'utf8')) as { name: string }
    assert.equal(manifest.name, '@acme/pbmkit-storage-x')
  })

  it('knows the names of all plugins that pbmkit brings', async () => {
    const folders = await readdir(join(import.meta.dirname, '..', '..', 'plugins'))
    for (const kind of KINDS) {
      const own = folders.flatMap((folder) => (folder.startsWith(`${kind}-`) ? [folder.slice(kind.length + 1)] : []))
      assert.ok(own.length > 1)
      for (const name of own) assert.match((await run([kind, name])).stderr, /means something already/)
    }
  })

  it('refuses wrong command lines with 2, and overwrites nothing', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /a kind is missing/],
      [['storage'], /a name is missing/],
      [['database', 'x'], /'database' is no kind/],
      [['storage', 'Not Good'], /can't be the name/],
      [['storage', '../x'], /can't be the name/],
      [['encryption', 'none'], /'none' can't be the name: .*means something already/],
      ...['s3', 'name', 'profile', 'oci'].map((name): [string[], RegExp] => [
        ['storage', name],
        /means something already/,
      ]),
      [['storage', 'x', '--scope', '@acme/../..'], /can't be the scope/],
      [['storage', 'pbmkit-storage-acme'], /call it acme/],
      [['storage', 'storage-acme'], /call it acme/],
      [['storage', 'x', 'y'], /too many/],
      [['storage', 'x', '--nope'], /nope/],
    ]
    for (const [args, message] of wrong) {
      const { code, stderr } = await run(args)
      assert.equal(code, 2, args.join(' '))
      assert.match(stderr, message)
    }
    await writeFile(join(cwd, 'file'), 'mine')
    const { code, stderr } = await run(['storage', 'x', '--dir', '.'])
    assert.equal(code, 1)
    assert.match(stderr, /not empty/)
    assert.deepEqual(await readdir(cwd), ['file'])
  })
})
