import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '@pbmkit/conformance/testbed'
import { repositoryRoot } from './files.js'

const run = promisify(execFile)

/** As README.md tells a newcomer who has a clone on one machine, and nothing of it on the next. */
describe('npm run pack', function () {
  // Installing takes as long as the registry does.
  this.timeout(300_000)
  const root = repositoryRoot()
  const env = {
    ...process.env,
    ...{ NODE_V8_COVERAGE: undefined, NODE_OPTIONS: undefined, npm_config_local_prefix: undefined },
    PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  }

  it('makes a folder that one command installs, with the plugins that were asked for', async () => {
    const packed = await temporaryFolder('pbmkit-pack-')
    const host = await temporaryFolder('pbmkit-host-')
    const program = join(root, 'scripts', 'pack.mjs')
    const { stdout } = await run(process.execPath, [program, packed, '--with', 'storage-blackhole'], { env })
    assert.ok(stdout.includes(`npm install --prefix /opt/pbmkit ${packed}/*.tgz`), stdout)
    const tarballs = (await readdir(packed)).map((name) => join(packed, name))
    const install = ['install', '--prefix', host, '--prefer-offline', '--no-audit', '--no-fund', ...tarballs]
    await run('npm', install, { env, cwd: host })
    const bin = (name: string, ...args: string[]) =>
      run(join(host, 'node_modules/.bin', name), args, { env, cwd: host })
    const [{ stdout: cli }, { stdout: agent }] = [
      await bin('pbm', 'version', '-s'),
      await bin('pbm-agent', '--version'),
    ]
    assert.match(cli, /^\d+\.\d+\.\d+\n$/)
    assert.equal(agent, cli)
    const { stdout: list } = await bin('pbm', 'plugin', 'list', '-o', 'json')
    const { plugins } = (JSON.parse(list) as { cli: { plugins: { kind: string; name: string; fault?: object }[] } }).cli
    const storages = plugins.filter(({ kind, fault }) => kind === 'storage' && fault === undefined)
    assert.deepEqual(storages.map(({ name }) => name).sort(), ['blackhole', 'filesystem'])
  })

  it('names what there is when it is asked for another', async () => {
    const failed = run(process.execPath, [join(root, 'scripts', 'pack.mjs'), '--with', 'storage-nonsense'], { env })
    await assert.rejects(failed, { code: 64, stderr: /no @pbmkit\/storage-nonsense here.*@pbmkit\/storage-s3/ })
  })
})
