import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ended, pbm, pbmProcess } from './run.support.js'

function failed(ended: Ended, code: number, ...parts: RegExp[]): void {
  assert.equal(ended.code, code, ended.stdout + ended.stderr)
  assert.equal(ended.stdout, '')
  for (const part of parts) assert.match(ended.stderr, part)
}

describe('pbm without a server', () => {
  it('tells that a connection string is missing, and where to put it', async () => {
    failed(await pbm(['list']), 1, /^Error: no MongoDB connection string \[URI_MISSING\]$/m, /PBM_MONGODB_URI_FILE/)
    const json = await pbm(['list', '-o', 'json'])
    assert.equal(json.code, 1)
    assert.equal((JSON.parse(json.stdout) as { code: string }).code, 'URI_MISSING')
  })

  it('needs none for version, help and completion', async () => {
    const version = await pbm(['version', '-o', 'json'])
    assert.deepEqual(Object.keys(JSON.parse(version.stdout) as object), [
      'Version',
      'Platform',
      'GitCommit',
      'GitBranch',
      'BuildTime',
      'GoVersion',
      'NodeVersion',
      'PBMVersion',
    ])
    const { Version } = JSON.parse(version.stdout) as { Version: string }
    for (const args of [['--version'], ['list', '--version'], ['version', '-s']])
      assert.deepEqual(await pbm(args), { code: 0, stdout: `${Version}\n`, stderr: '' })
    const flag = await pbm(['--version', '-o', 'json'])
    assert.deepEqual([flag.code, JSON.parse(flag.stdout)], [0, { Version }])
    const commit = await pbm(['version', '--commit=true', '-o', 'json'])
    assert.deepEqual([commit.code, Object.keys(JSON.parse(commit.stdout) as object)], [0, ['GitCommit']])
    const help = await pbm(['help', 'backup'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /--wait-time/)
    assert.match(help.stdout, /gzip, lz4, none, s2, snappy, zstd; default/, 'what is installed')
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await pbm(['completion', shell])
      assert.equal(code, 0)
      assert.match(stdout, /force-resync/)
    }
  })

  it('takes the password of its command line out of ps', async function () {
    if (process.platform !== 'linux') this.skip()
    // Connects, and is never answered.
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    let seen = ''
    await pbmProcess(['profile', 'list', '--mongodb-uri', `mongodb://user:s3cret@127.0.0.1:${port}/`], {
      during: async (child) => {
        const [socket] = (await once(server, 'connection')) as [Socket]
        seen = await readFile(`/proc/${child.pid}/cmdline`, 'utf8')
        child.kill('SIGKILL')
        socket.on('error', () => undefined).destroy()
      },
    })
    server.close()
    assert.match(seen, /^pbm\0/)
    assert.doesNotMatch(seen, /s3cret/)
  })

  it('keeps what a plugin prints out of the results', async () => {
    const pluginDir = await mkdtemp(join(tmpdir(), 'pbmkit-noisy-'))
    try {
      const folder = join(pluginDir, 'node_modules', 'pbmkit-storage-noisy')
      await mkdir(folder, { recursive: true })
      const manifest = {
        name: 'pbmkit-storage-noisy',
        version: '1.0.0',
        type: 'module',
        exports: './main.js',
        keywords: ['pbmkit-plugin'],
      }
      await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
      await writeFile(join(folder, 'main.js'), "console.log('hello'); export default {}")
      const ended = await pbmProcess(['plugin', 'list', '--plugin-dir', pluginDir, '-o', 'json'])
      const { cli } = JSON.parse(ended.stdout) as { cli: { plugins: { name: string }[] } }
      assert.ok(cli.plugins.some(({ name }) => name === 'noisy'))
      assert.match(ended.stderr, /^hello$/m)
    } finally {
      await rm(pluginDir, { recursive: true, force: true })
    }
  })

  it('refuses a wrong command line with 2 before it connects', async () => {
    const env = { PBM_MONGODB_URI: 'mongodb://127.0.0.1:1/' }
    const wrong: [string[], RegExp][] = [
      [['lst'], /unknown command 'lst'[\s\S]*list/],
      [['list', '-o', 'jsn'], /--out: 'jsn'/],
      [['list', '--nope'], /unknown option/],
      [['restore', 'a', 'b'], /too many arguments/],
      [['backup', '--wait=maybe'], /neither true nor false/],
      [['backup', '-w', '--wait-time', '5'], /is not a duration/],
      [['backup', '--compression-level', 'x'], /--compression-level/],
      [['backup', '-t', 'physical', '--base'], /--base goes only with --type incremental/],
      [['backup', '-t', 'physical', '--ns', 'a.b'], /--type physical is one of all data/],
      [['backup', '--ns', 'shop'], /--ns: "shop" is no namespace/],
      [['backup', '--with-users-and-roles'], /users and roles go only with chosen databases/],
      [['profile', 'show', 'main'], /can't be called main/],
      [['profile', 'add', 'main', '-'], /can't be called main/],
      [['profile', 'add', 'x'], /missing required argument 'file'/],
      [['profile', 'sync'], /which profile/],
      [['profile', 'sync', 'x', '--all'], /exclude each other/],
      [['delete-backup', 'x', '--profile', 'y'], /--profile goes only with --older-than/],
      [['restore'], /restore what/],
      [['restore', 'x', '--time', '2031-02-03T04:05:06'], /exclude each other/],
      [['restore', '--time', '2031-02-30'], /'2031-02-30' is not a time/],
      [['restore', '--time', '4294967296,1'], /is not a time/],
      [['restore', '--time', 'yesterday'], /is not a time/],
      [['restore', '--base-snapshot', 'x'], /--base-snapshot goes only with --time/],
      [['restore', 'x', '--ns', 'a.system.js'], /--ns: .*system collections can't be chosen/],
      [['restore', 'x', '--ns-from', 'a.b'], /--ns-from and --ns-to go only together/],
      [['restore', 'x', '--ns-from', 'a.b,a.c', '--ns-to', 'x.y'], /--ns-from has 2 names, and --ns-to has 1/],
      [['restore', 'x', '--keep-existing'], /--keep-existing needs --ns/],
      [['restore', 'x', '--keep-existing', '--ns-from', 'a.b', '--ns-to', 'a.c'], /exclude each other/],
      [['restore', 'x', '--ns', 'a.*', '--keep-existing', '--with-users-and-roles'], /is for documents/],
      [['restore', 'x', '--ns', 'a.b', '--query', '{}'], /would leave out all other documents/],
      [['restore', 'x', '--ns', 'a.b', '--keep-existing', '--query', '{'], /--query: The query is not right/],
      [['restore', 'x', '--ns-from', 'a.b', '--ns-to', 'a.*'], /--ns-to: a\.b can't become a\.\*/],
      [['oplog-replay'], /--start and --end/],
      [['oplog-replay', '--start', '2031-02-03', '--end', '2031-02-03'], /does not lie after/],
      [['delete-pitr'], /--older-than, or --all/],
      [['delete-pitr', '--all', '--older-than', '1d'], /exclude each other/],
      [['cleanup'], /--older-than/],
      [['restore', 'x', '--index-commit-quorum', 'all'], /--index-commit-quorum/],
      [['delete-backup'], /which backups/],
      [['delete-backup', 'x', '--older-than', '1d'], /exclude each other/],
      [['config', 'pitr', '--list'], /exclude each other/],
      [['config', '--include-restores'], /--force-resync/],
      [['status', '-s', 'weather'], /no section 'weather'/],
      [['logs', '-s', 'X'], /--severity/],
      [['logs', '--timezone', 'Mars/Base'], /no time zone/],
      [['diagnostic'], /--path is missing/],
      [['diagnostic', '--path', 'x', '--name', 'a', '--opid', 'b'], /two ways/],
      [['backup', '-l'], /--list-files goes only with --type external/],
      [['restore', 'x', '--exit'], /--exit goes only with --external/],
      [['restore', 'x', '--external', '--time', '2031-02-03'], /--time does not go with --external/],
      [['restore', 'x', '--fallback-enabled=0', '--allow-partly-done=0'], /are both off/],
      [['restore-finish', 'x'], /required option '-c, --config <file>' not specified/],
      [['backup-finish'], /missing required argument 'name'/],
      [['completion', 'powershell'], /bash/],
    ]
    for (const [args, message] of wrong) failed(await pbm(args, { env }), 2, message)
    const json = await pbm(['backup', '--nope', '-o', 'json'], { env })
    assert.equal((JSON.parse(json.stdout) as { code: string }).code, 'USAGE')
  })

  it('ignores arguments and a wait time that it has no use for, as PBM does', async () => {
    const ended = await pbm(['version', 'extra', '--short=true'])
    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /ignored, since pbm version takes no more: extra/)
    // Nothing connects where a command line is wrong.
    for (const args of [
      ['backup', '--wait-time', '5s'],
      ['backup', '--compression-level', '3,5'],
      ['profile', 'add', 'x', '-', '--wait'],
    ])
      assert.match((await pbm(args)).stderr, /no MongoDB connection string/)
  })

  it('refuses a command line without a command: with help, or as JSON', async () => {
    failed(await pbm([]), 2, /Usage: pbm \[/)
    failed(await pbm(['key']), 2, /Usage: pbm key \[/)
    for (const [args, hint] of [
      [[], 'See pbm --help.'],
      [['key'], 'See pbm key --help.'],
    ] as const) {
      const json = await pbm([...args, '-o', 'json'])
      assert.equal(json.code, 2)
      const { code, hint: told } = JSON.parse(json.stdout) as { code: string; hint: string }
      assert.deepEqual([code, told], ['USAGE', hint])
    }
  })
})
