import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PbmError } from '../errors.js'
import { until } from '../time/until.js'
import { COMPRESSION_PLUGIN, PluginHost, STORAGE_PLUGIN } from './host.js'
import { inspectApart } from './inspect-apart.js'

const SCHEMA =
  "{ type: 'object', additionalProperties: false, properties: { path: { type: 'string', identity: true } } }"

function storageSource(name: string, more = ''): string {
  return `export default { kind: 'storage', name: '${name}', apiVersion: 1, optionsSchema: ${SCHEMA}, open() {}, describe() { return '' }, ${more} }`
}

const EVERY = { everyMs: 20 }

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const CODEC =
  "export default { kind: 'compression', name: 'tight', apiVersion: 1, suffix: '.t', compress: (s) => s, decompress: (s) => s }"

describe('PluginHost', () => {
  let root: string
  let host: PluginHost

  async function install(
    packageName: string,
    source: string | undefined,
    manifest: object = {},
    base = 'app',
  ): Promise<void> {
    const folder = join(root, base, 'node_modules', packageName)
    await mkdir(folder, { recursive: true })
    const described = {
      name: packageName,
      version: '1.2.3',
      type: 'module',
      exports: './main.js',
      keywords: ['pbmkit-plugin'],
      ...manifest,
    }
    await writeFile(join(folder, 'package.json'), JSON.stringify(described))
    if (source !== undefined) await writeFile(join(folder, 'main.js'), source)
  }

  async function faultOf(work: Promise<unknown>): Promise<PbmError> {
    const error = await work.then(
      () => assert.fail('must be refused'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof PbmError, String(error))
    return error
  }

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pbmkit-host-'))
    const entry = join(root, 'app', 'dist', 'main.js')
    await mkdir(dirname(entry), { recursive: true })
    await writeFile(
      join(root, 'app', 'package.json'),
      JSON.stringify({ name: 'app', dependencies: { '@pbmkit/storage-here': '1' } }),
    )
    host = new PluginHost({ resolveFrom: pathToFileURL(entry).href })
  })

  afterEach(() => rm(root, { recursive: true, force: true }))

  it('finds a short name as our own package first, then as one of a stranger', async () => {
    await install('pbmkit-storage-dual', storageSource('dual', "from: 'stranger'"))
    assert.equal(((await host.storage('dual')) as { from?: string }).from, 'stranger')
    await install('pbmkit-storage-both', storageSource('both', "from: 'stranger'"))
    await install('@pbmkit/storage-both', storageSource('both', "from: 'us'"))
    assert.equal(((await host.storage('both')) as { from?: string }).from, 'us')
  })

  it('takes the name of a package as itself', async () => {
    await install('@acme/backups', storageSource('vault'))
    await install('pbmkit-storage-vault', storageSource('vault'))
    assert.equal((await host.storage('@acme/backups')).name, 'vault')
    assert.equal((await host.storage('pbmkit-storage-vault')).name, 'vault')
  })

  for (const [what, exports] of Object.entries({
    'an import condition only': { '.': { import: './main.js' } },
    'nested conditions': { '.': { node: { import: { default: './main.js' } } } },
    'a text': './main.js',
  })) {
    it(`loads a package whose exports have ${what}`, async () => {
      await install('@pbmkit/storage-esm', storageSource('esm'), { exports })
      assert.equal((await host.storage('esm')).name, 'esm')
    })
  }

  it('asks the plugin folder first', async () => {
    await install('@pbmkit/storage-dual', storageSource('dual', 'place: 1'))
    await install('@pbmkit/storage-dual', storageSource('dual', 'place: 2'), {}, 'plugins')
    const resolveFrom = pathToFileURL(join(root, 'app', 'dist', 'main.js')).href
    const both = new PluginHost({ resolveFrom, pluginDir: join(root, 'plugins') })
    assert.equal(((await both.storage('dual')) as { place?: number }).place, 2)
    assert.equal(((await host.storage('dual')) as { place?: number }).place, 1)
    assert.ok(
      (await faultOf(both.storage('s3'))).hint?.startsWith(
        `npm install --prefix ${join(root, 'plugins')} @pbmkit/storage-s3`,
      ),
    )
  })

  const LOADED = `globalThis.pbmkitWasHere = true\n${storageSource('here')}`
  const UNFIT: Record<string, [manifest: object, code: string]> = {
    'no keyword': [{ keywords: undefined }, 'PLUGIN_NO_KEYWORD'],
    'other keywords': [{ keywords: ['pbmkit'] }, 'PLUGIN_NO_KEYWORD'],
    'keywords that are no list': [{ keywords: 'pbmkit-plugin' }, 'PLUGIN_NO_KEYWORD'],
    'another kind': [{ pbmkit: { kind: 'compression' } }, 'PLUGIN_WRONG_KIND'],
    'another API': [{ pbmkit: { apiVersion: 2 } }, 'PLUGIN_WRONG_API'],
    'a newer Node.js': [{ engines: { node: '>=999.1' } }, 'PLUGIN_WRONG_NODE'],
  }
  for (const [what, [manifest, code]] of Object.entries(UNFIT)) {
    it(`loads nothing of a package whose package.json has ${what}`, async () => {
      await install('@pbmkit/storage-here', LOADED, manifest)
      assert.equal((await faultOf(host.storage('here'))).code, code)
      assert.equal((await host.inspect()).find(({ name }) => name === 'here')?.fault?.code, code)
      assert.equal((globalThis as { pbmkitWasHere?: boolean }).pbmkitWasHere, undefined)
    })
  }

  it('loads one whose package.json says what it is', async () => {
    const manifest = { pbmkit: { kind: 'storage', apiVersion: 1 }, engines: { node: '>=22.15' } }
    await install('@pbmkit/storage-here', storageSource('here'), manifest)
    assert.equal((await host.storage('here')).name, 'here')
    await install('@pbmkit/storage-odd', storageSource('odd'), { pbmkit: 7, engines: [], version: {} })
    assert.equal((await host.storage('odd')).name, 'odd')
  })

  it('tells of one whose package.json can not be read', async () => {
    await install('@pbmkit/storage-here', storageSource('here'))
    await writeFile(join(root, 'app/node_modules/@pbmkit/storage-here/package.json'), '[')
    assert.equal((await faultOf(host.storage('here'))).code, 'PLUGIN_LOAD')
  })

  describe('with packages in folders above the installation', () => {
    const hostAt = (path: string, pluginDir?: string) =>
      new PluginHost({ resolveFrom: pathToFileURL(join(root, path, 'main.js')).href, pluginDir })
    const put = async (path: string, text: string) => {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), text)
    }

    it('does not find them', async () => {
      await install('@pbmkit/storage-above', storageSource('above'), {}, '.')
      await put('app/node_modules/@pbmkit/agent/package.json', '{}')
      await put('nowhere/dist/main.js', '')
      for (const path of ['app/dist', 'app/node_modules/@pbmkit/agent/dist', 'nowhere/dist']) {
        assert.equal((await faultOf(hostAt(path).storage('above'))).code, 'PLUGIN_MISSING')
        assert.deepEqual(
          (await hostAt(path).loadable()).map(({ name }) => name),
          ['none'],
        )
      }
      assert.equal((await faultOf(hostAt('app/dist', join(root, 'plugins')).storage('above'))).code, 'PLUGIN_MISSING')
    })

    it('finds those beside itself, however deep it lies in them', async () => {
      await install('@pbmkit/storage-beside', storageSource('beside'))
      await put('app/node_modules/x/node_modules/@pbmkit/agent/package.json', '{}')
      for (const path of ['app/node_modules/@pbmkit/agent/dist', 'app/node_modules/x/node_modules/@pbmkit/agent/dist'])
        assert.equal((await hostAt(path).storage('beside')).name, 'beside')
    })

    it('finds those of the workspaces it is one of', async () => {
      await install('@pbmkit/storage-own', storageSource('own'), {}, '.')
      await put('package.json', JSON.stringify({ workspaces: ['packages/*', 'app'] }))
      await put('packages/agent/package.json', '{}')
      await put('others/agent/package.json', '{}')
      for (const path of ['app/dist', 'packages/agent/dist/src'])
        assert.equal((await hostAt(path).storage('own')).name, 'own')
      assert.equal((await faultOf(hostAt('others/agent/dist').storage('own'))).code, 'PLUGIN_MISSING')
    })
  })

  it('has none built in and takes pgzip for gzip', async () => {
    assert.equal((await host.compression('none')).suffix, '')
    await install('@pbmkit/compression-gzip', CODEC.replace('tight', 'gzip'))
    assert.equal(await host.compression('pgzip'), await host.compression('gzip'))
  })

  it('registers what it loads under the token of its kind', async () => {
    await install('@pbmkit/storage-here', storageSource('here'))
    await install('@pbmkit/compression-tight', CODEC)
    const plugins = [await host.storage('here'), await host.compression('tight')]
    assert.deepEqual(host.container.resolveAll(STORAGE_PLUGIN), [plugins[0]])
    assert.equal(host.container.resolveAll(COMPRESSION_PLUGIN).at(-1), plugins[1])
    await host.storage('here')
    assert.equal(host.container.resolveAll(STORAGE_PLUGIN).length, 1)
  })

  const FAULTS: Record<string, [source: string | undefined, code: string, text: RegExp]> = {
    'is not built': [undefined, 'PLUGIN_LOAD', /installed, but can't be loaded/],
    'throws on load': ["throw new Error('no licence')", 'PLUGIN_LOAD', /throws while it is loaded/],
    'lacks something it needs': ["import 'not-there'", 'PLUGIN_LOAD', /throws while it is loaded/],
    'has no default export': ['export const plugin = {}', 'PLUGIN_NO_DEFAULT_EXPORT', /no default export/],
    'is no object': ['export default () => {}', 'PLUGIN_INVALID', /a function, not a plugin/],
    'is of another kind': [CODEC, 'PLUGIN_WRONG_KIND', /kind "compression", where a storage plugin is needed/],
    'is of another API': [
      storageSource('bad', 'apiVersion: 2'),
      'PLUGIN_WRONG_API',
      /plugin API 2, this is plugin API 1/,
    ],
    'has another name': [storageSource('other'), 'PLUGIN_INVALID', /calls itself "other"/],
    'lacks a method': [storageSource('bad', 'open: 1'), 'PLUGIN_INVALID', /open is not a function/],
    'has no schema': [storageSource('bad', 'optionsSchema: undefined'), 'PLUGIN_INVALID', /optionsSchema is missing/],
    'has a schema with an unknown keyword': [
      storageSource(
        'bad',
        "optionsSchema: { type: 'object', additionalProperties: false, properties: { key: { type: 'string', writeonly: true } } }",
      ),
      'PLUGIN_INVALID',
      /writeonly/,
    ],
    'takes unknown options': [
      storageSource(
        'bad',
        "optionsSchema: { type: 'object', additionalProperties: false, properties: { deep: { type: 'object' } } }",
      ),
      'PLUGIN_INVALID',
      /optionsSchema.deep needs additionalProperties: false/,
    ],
  }
  for (const [what, [source, code, text]] of Object.entries(FAULTS)) {
    it(`tells of a plugin that ${what}`, async () => {
      await install('@pbmkit/storage-bad', source)
      const error = await faultOf(host.storage('bad'))
      assert.equal(error.code, code)
      assert.match(error.message, text)
      assert.match(error.message, /@pbmkit\/storage-bad/)
      assert.notEqual(error.hint, undefined)
    })
  }

  it('tells of a plugin that is missing, and how to install it', async () => {
    const error = await faultOf(host.storage('s3'))
    assert.equal(error.code, 'PLUGIN_MISSING')
    assert.match(error.message, /neither @pbmkit\/storage-s3 nor pbmkit-storage-s3 is installed/)
    assert.match(error.hint ?? '', /npm install @pbmkit\/storage-s3/)
    assert.match((await faultOf(host.storage('@acme/none'))).hint ?? '', /npm install @acme\/none/)
  })

  it('finds a plugin that was installed after it was missed', async () => {
    await faultOf(host.storage('late'))
    await install('@pbmkit/storage-late', storageSource('late'))
    assert.equal((await host.storage('late')).name, 'late')
  })

  for (const name of ['../evil', '/etc/passwd', 'file:///x', 'a b', '', 'x/../../y', '@a/b/c', 'node:fs']) {
    it(`refuses ${JSON.stringify(name)} as a name`, async () => {
      assert.equal((await faultOf(host.storage(name))).code, 'PLUGIN_NAME')
    })
  }

  it('tells all faults of a configuration together', async () => {
    await install('@pbmkit/compression-old', CODEC.replace('apiVersion: 1', 'apiVersion: 0'))
    const config = { storage: { type: 's3' }, backup: { compression: 'old' }, pitr: { compression: 'zstd' } }
    const error = await faultOf(host.check(config))
    assert.equal(error.code, 'PLUGIN_FAULTS')
    for (const name of ['storage-s3', 'compression-old', 'compression-zstd'])
      assert.ok(error.message.includes(name), name)
    assert.match(error.message, /npm install @pbmkit\/compression-zstd/)
    assert.equal((error.cause as AggregateError).errors.length, 3)
  })

  it('finds no fault where all is installed', async () => {
    await install('@pbmkit/storage-here', storageSource('here'))
    await install('@pbmkit/compression-s2', CODEC.replace('tight', 's2'))
    await host.check({ storage: { type: 'here' } })
  })

  it('tells what can be loaded, without loading it', async () => {
    await install('@pbmkit/storage-here', "throw new Error('loaded')")
    await install('@pbmkit/compression-zstd', "throw new Error('loaded')")
    const found = (await host.loadable()).map(({ kind, name, version }) => `${kind} ${name} ${version}`)
    assert.deepEqual(found, ['storage here 1.2.3', 'compression none ', 'compression zstd 1.2.3'])
  })

  it('inspects a plugin once that is configured by the name of its package', async () => {
    await install('pbmkit-storage-here', storageSource('here'))
    await host.storage('pbmkit-storage-here')
    const found = (await host.inspect()).filter(({ packageName }) => packageName === 'pbmkit-storage-here')
    assert.deepEqual(
      found.map(({ name, apiVersion }) => [name, apiVersion]),
      [['pbmkit-storage-here', 1]],
    )
  })

  it('inspects what is installed: versions of the API, and faults with what mends them', async () => {
    await install('@pbmkit/storage-here', storageSource('here'))
    await install('pbmkit-storage-here', "throw new Error('the second of this name')")
    await install('pbmkit-storage-old', storageSource('old', 'apiVersion: 0'))
    await install('@acme/pbmkit-compression-tight', CODEC)
    await install('@pbmkit/compression-zstd', undefined)
    await install('not-a-plugin', "throw new Error('loaded')")
    const told = (await host.inspect()).map(({ kind, name, packageName, apiVersion, fault }) =>
      [kind, name, packageName, apiVersion ?? fault?.code].join(' '),
    )
    assert.deepEqual(told, [
      'storage here @pbmkit/storage-here 1',
      'storage old pbmkit-storage-old PLUGIN_WRONG_API',
      'compression @acme/pbmkit-compression-tight @acme/pbmkit-compression-tight 1',
      'compression none built in 1',
      'compression zstd @pbmkit/compression-zstd PLUGIN_LOAD',
    ])
    const old = (await host.inspect()).find(({ name }) => name === 'old')
    assert.match(old?.fault?.message ?? '', /plugin API 0, this is plugin API 1/)
    assert.match(old?.fault?.hint ?? '', /^npm install pbmkit-storage-old@latest/)
  })

  describe('in a process of its own', () => {
    const options = () => ({ resolveFrom: pathToFileURL(join(root, 'app', 'dist', 'main.js')).href })

    it('tells the same, and keeps what a package does when loaded out of this process', async () => {
      await install('@pbmkit/storage-here', `globalThis.pbmkitWasHere = true\n${storageSource('here')}`)
      const found = await inspectApart(options())
      assert.equal(found?.find(({ name }) => name === 'here')?.apiVersion, 1)
      assert.equal((globalThis as { pbmkitWasHere?: boolean }).pbmkitWasHere, undefined)
    })

    it('shows packages no secret of the environment, whatever its name', async () => {
      const seen = join(root, 'environment.json')
      const write = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(seen)}, JSON.stringify(process.env))`
      await install('@pbmkit/storage-here', `${write}\n${storageSource('here')}`)
      const secrets = { PBM_MONGODB_URI: 'mongodb://a:secret@b', AWS_SECRET_ACCESS_KEY: 'secret', VAULT: 'secret' }
      Object.assign(process.env, secrets)
      try {
        assert.equal((await inspectApart(options()))?.find(({ name }) => name === 'here')?.apiVersion, 1)
      } finally {
        // Another object in its place would not be the environment that others have taken hold of.
        for (const name of Object.keys(secrets)) delete process.env[name]
      }
      const environment = JSON.parse(await readFile(seen, 'utf8')) as Record<string, string>
      assert.equal(environment.PATH, process.env.PATH)
      for (const name of Object.keys(secrets)) assert.equal(environment[name], undefined, name)
    })

    it('outlives a package that ends the process', async () => {
      await install('@pbmkit/storage-here', 'process.exit(0)')
      assert.equal(await inspectApart(options()), undefined)
    })

    it('ends when told to, whatever a package does', async () => {
      await install('@pbmkit/storage-here', 'setInterval(() => {}, 1000); await new Promise(() => {})')
      const controller = new AbortController()
      const inspecting = inspectApart(options(), controller.signal)
      controller.abort()
      assert.equal(await inspecting, undefined)
    })

    it('ends with the agent, however that ends', async () => {
      const seen = join(root, 'pid')
      const note = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(seen)}, String(process.pid))`
      await install('@pbmkit/storage-here', `${note}\nsetInterval(() => {}, 1000); await new Promise(() => {})`)
      const program = fileURLToPath(new URL('./inspect-process.js', import.meta.url))
      const script = `require('node:child_process').fork(${JSON.stringify(program)}).send(${JSON.stringify(options())})`
      const agent = spawn(process.execPath, ['--eval', script], { stdio: 'ignore' })
      const pid = await until(async () => Number(await readFile(seen, 'utf8').catch(() => '')) || undefined, EVERY)
      agent.kill('SIGKILL')
      // By itself it gives the package up after 30 s.
      assert.ok(await until(async () => !isAlive(pid), { ...EVERY, timeoutMs: 20_000 }))
    })
  })
})
