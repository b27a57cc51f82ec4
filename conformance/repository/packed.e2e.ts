import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { problemAffectsResolutionKind } from '@arethetypeswrong/core/problems'
import {
  compareStates,
  loadSampleData,
  type ReplicaSet,
  snapshotState,
  spawnSupervised,
  startReplicaSet,
} from '@pbmkit/conformance/testbed'
import { databaseRole } from '@pbmkit/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { Installation } from './packed.support.js'

const EXAMPLE = 'examples/pbmkit-storage-webdav'
const TEST = ['--test', '--test-reporter=tap']
/** How they are looked for. No package is for `require`, nor for what knows no `exports`. */
const ES_MODULES = ['node16-esm', 'bundler'] as const
const KINDS = ['storage', 'compression', 'encryption'] as const

/** What strangers get: all packages packed and installed in an empty folder, a plugin of their own beside them. */
describe('the packages as npm would publish them', function () {
  // Installing takes as long as the registry does; the suites run in programs of their own.
  this.timeout(600_000)
  const here = new Installation()

  before(async () => {
    const { devDependencies } = JSON.parse(await readFile(join(here.root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>
    }
    const own = JSON.parse(await readFile(join(here.root, EXAMPLE, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>
    }
    await here.install({
      'webdav-server': own.devDependencies['webdav-server'] ?? '',
      typescript: devDependencies.typescript ?? '',
      '@types/node': devDependencies['@types/node'] ?? '',
      vitest: '^5.1.0',
    })
  })

  it('hold what they need and no tests', () => {
    assert.ok(here.packed.length > 10)
    for (const { name, files } of here.packed) {
      const paths = files.map(({ path }) => path)
      assert.ok(paths.includes('README.md'), `${name} has no README`)
      const surplus = paths.filter((path) => /\.(spec|e2e|support)\.|\.tsbuildinfo$|^src\/|^test\//.test(path))
      assert.deepEqual(surplus, [], name)
      // Made by a step after the compiler.
      const page = name === '@pbmkit/cli' ? ['dist/web/page.css', 'dist/web/page.mjs'] : []
      assert.deepEqual(paths.filter((path) => page.includes(path)).sort(), page)
    }
  })

  it('say in their manifests what npm, bundlers and TypeScript need', async () => {
    for (const { name } of here.packed) {
      const pkgDir = join(here.folder, 'node_modules', name)
      const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true })
      assert.deepEqual(
        messages.map((message) => formatMessage(message, pkg, { color: false })),
        [],
        name,
      )
    }
  })

  it('have types that every resolver of ES modules finds', async () => {
    for (const { name, filename } of here.packed) {
      const tarball = await readFile(join(here.folder, 'packages', filename))
      const analysis = await checkPackage(createPackageFromTarballData(tarball))
      // The example is JavaScript.
      if (analysis.types === false) continue
      const problems = analysis.problems.filter((problem) =>
        ES_MODULES.some((resolution) => problemAffectsResolutionKind(problem, resolution, analysis)),
      )
      assert.deepEqual(problems, [], name)
    }
  })

  it('bring few others along to an agent without a cloud storage, none of which runs anything when it is installed', async () => {
    const plain = await here.locked('@pbmkit/agent')
    const paths = [...plain.keys()]
    assert.ok(paths.includes('node_modules/@pbmkit/storage-filesystem') && paths.includes('node_modules/mongodb'))
    const others = paths.filter((path) => !path.startsWith('node_modules/@pbmkit/'))
    assert.ok(others.length < 60, `${others.length} packages: ${others.join(' ')}`)
    assert.deepEqual(
      paths.filter((path) => plain.get(path)?.hasInstallScript === true),
      [],
    )
  })

  it('can be imported by every entry that they export', async () => {
    const specifiers: string[] = []
    for (const { name } of here.packed) {
      const manifest = join(here.folder, 'node_modules', name, 'package.json')
      const { exports } = JSON.parse(await readFile(manifest, 'utf8')) as { exports?: Record<string, unknown> | string }
      const entries = typeof exports === 'string' ? ['.'] : Object.keys(exports ?? {})
      specifiers.push(...entries.map((entry) => `${name}${entry.slice(1)}`))
    }
    assert.ok(specifiers.includes('@pbmkit/core/plugin') && specifiers.includes('pbmkit-storage-webdav'))
    const source = specifiers.map((specifier) => `await import(${JSON.stringify(specifier)})`).join('\n')
    await writeFile(join(here.folder, 'imports.mjs'), source)
    await here.run(process.execPath, ['imports.mjs'])
  })

  it('a storage on a WebDAV server, written outside, passes the suite under node:test', async () => {
    await cp(join(here.root, EXAMPLE, 'test'), join(here.folder, 'webdav-test'), { recursive: true })
    const { stdout } = await here.run(process.execPath, [...TEST, 'webdav-test/webdav.test.js'])
    assert.ok(passed(stdout) > 400, `${passed(stdout)} cases`)
  })

  describe('with an agent and the command line', () => {
    let set: ReplicaSet
    let server: ChildProcess
    let agent: ChildProcess
    let env: NodeJS.ProcessEnv

    before(async () => {
      set = await startReplicaSet({ auth: true })
      env = { PBM_MONGODB_URI: set.uri({ user: await set.createUser(databaseRole('agent')) }) }
      const files = join(here.folder, 'webdav-files')
      await mkdir(files)
      server = fork(join(here.folder, 'webdav-test', 'server.js'), [files], { silent: true })
      const [port] = (await once(server, 'message')) as [number]
      agent = spawnSupervised(process.execPath, [here.bin('pbm-agent')], {
        env: { ...process.env, ...env },
        stdio: 'ignore',
      })
      const agents = (await set.client()).db('admin').collection('pbmAgents')
      while ((await agents.countDocuments()) === 0) await sleep(100)
      await writeFile(
        join(here.folder, 'pbm.yaml'),
        `storage: {type: webdav, webdav: {url: 'http://127.0.0.1:${port}/dav/backups'}}\n`,
      )
    })
    after(async () => {
      agent.kill('SIGKILL')
      server.disconnect()
      await set.stop()
    })

    const pbm = async (...args: string[]) =>
      JSON.parse((await here.run(here.bin('pbm'), [...args, '-o', 'json'], here.folder, env)).stdout)

    it('a backup goes to that server, and comes back from it', async () => {
      const client = await set.client()
      await loadSampleData(client, { scale: 0.05, oddNames: false })
      await pbm('config', '--file', 'pbm.yaml', '--wait')
      const { cli } = (await pbm('plugin', 'list')) as { cli: { plugins: { name: string; fault?: object }[] } }
      assert.ok(cli.plugins.some(({ name, fault }) => name === 'webdav' && fault === undefined))
      const { name } = (await pbm('backup', '--wait')) as { name: string }
      const before = await snapshotState(client)
      await client.db('shop').dropDatabase()
      await pbm('restore', name, '--wait', '--yes')
      assert.deepEqual(compareStates(before, await snapshotState(client)), [])
    })

    it('pbm storage check runs its cases there', async () => {
      const report = (await pbm('storage', 'check', '--only', 'stat', '--size', '1')) as {
        cases: { total: number; passed: number }
      }
      assert.ok(report.cases.total > 5)
      assert.equal(report.cases.passed, report.cases.total)
    })
  })

  describe('npm create pbmkit-plugin', () => {
    for (const kind of KINDS) {
      it(`makes a ${kind} plugin that builds and passes the suite`, async () => {
        await here.run(here.bin('create-pbmkit-plugin'), [kind, 'demo'])
        const folder = join(here.folder, `pbmkit-${kind}-demo`)
        // As its own `npm test` does, with what is installed above it.
        await here.run(here.bin('tsc'), [], folder)
        const { stdout } = await here.run(process.execPath, [...TEST, 'dist/conformance.test.js'], folder)
        assert.ok(passed(stdout) > 100, `${passed(stdout)} cases`)
      })
    }

    it('makes plugins that can be packed, installed and loaded', async () => {
      const made = KINDS.map((kind) => join(here.folder, `pbmkit-${kind}-demo`))
      const packed = await here.pack(
        made.map((folder) => `file:${folder}`),
        join(here.folder, 'packages'),
      )
      assert.ok(packed.every(({ files }) => !files.some(({ path }) => path.includes('.test.'))))
      await mkdir(join(here.folder, 'plugins'))
      const tarballs = packed.map(({ filename }) => join(here.folder, 'packages', filename))
      await here.npm(['install', '--prefix', 'plugins', '--legacy-peer-deps', '--no-audit', '--no-fund', ...tarballs])
      const list = ['plugin', 'list', '--plugin-dir', join(here.folder, 'plugins'), '-o', 'json']
      const { stdout } = await here.run(here.bin('pbm'), list)
      const { cli } = JSON.parse(stdout) as { cli: { plugins: { kind: string; name: string; apiVersion?: number }[] } }
      const demos = cli.plugins.filter(({ name }) => name === 'demo')
      assert.deepEqual(
        demos.map(({ kind, apiVersion }) => `${kind} ${apiVersion}`),
        KINDS.map((kind) => `${kind} 1`),
      )
    })

    it('the suite runs under vitest as well', async () => {
      await writeFile(
        join(here.folder, 'demo.test.mjs'),
        `import { storageConformance } from '@pbmkit/conformance'
         import { describe, it } from 'vitest'
         import plugin from './pbmkit-storage-demo/dist/index.js'
         let place = 0
         storageConformance({ describe, it, plugin, options: () => ({ place: String(place++) }) })`,
      )
      const args = ['run', 'demo.test.mjs', '-t', 'stat', '--testTimeout=60000', '--reporter=json']
      const report = join(here.folder, 'vitest.json')
      await here.run(here.bin('vitest'), [...args, `--outputFile=${report}`])
      const { numPassedTests, numFailedTests } = JSON.parse(await readFile(report, 'utf8')) as Record<string, number>
      assert.ok((numPassedTests ?? 0) > 5 && numFailedTests === 0, `${numPassedTests} and ${numFailedTests}`)
    })
  })
})

/** The number of cases that passed, by the last lines of a TAP report. */
function passed(tap: string): number {
  return Number(/^# pass (\d+)$/m.exec(tap)?.[1] ?? 0)
}
