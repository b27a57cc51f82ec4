import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { hasCode } from '../plugin/errors.js'
import { type KeySource, readKeySource } from './key-source.js'

const SECRET = 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I='

describe('readKeySource', () => {
  let folder: string
  let warnings: string[]
  const read = (source: KeySource, signal = new AbortController().signal, commandMs = 60_000) =>
    readKeySource(source, 'encryption key', { signal, warn: (text) => warnings.push(text) }, { commandMs })

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-keys-'))
    warnings = []
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  async function refused(source: KeySource, told: RegExp, signal?: AbortSignal, commandMs?: number) {
    await assert.rejects(read(source, signal, commandMs), (error: Error) => {
      assert.ok(hasCode(error, 'ENCRYPTION_KEY_MISSING'), String(error))
      assert.match(error.message, told)
      const texts = [error.message, error.stack, JSON.stringify(error), String(error.cause)]
      for (const text of texts) assert.ok(!text?.includes(SECRET), 'the secret shows')
      return true
    })
  }

  async function keyFile(content: string, mode = 0o600): Promise<string> {
    const path = join(folder, 'keys')
    await writeFile(path, content)
    await chmod(path, mode)
    return path
  }

  it('reads a file', async () => {
    assert.equal(await read({ file: await keyFile(`${SECRET}\n`) }), `${SECRET}\n`)
    assert.deepEqual(warnings, [])
  })

  it('warns of a file that everybody can read', async () => {
    await read({ file: await keyFile(SECRET, 0o644) })
    assert.match(warnings.join(), /every user of this machine: chmod 600/)
  })

  it('says why a file gives no key', async () => {
    await refused({ file: join(folder, 'nowhere') }, /from file .*nowhere: there is no such file/)
    await refused({ file: folder }, /not a regular file/)
    await refused({ file: '/dev/zero' }, /not a regular file/)
    await refused({ file: await keyFile(' \n') }, /is empty: file/)
    await refused({ file: await keyFile('x'.repeat(2 * 1024 * 1024)) }, /2097152 bytes/)
  })

  it('reads an environment variable', async () => {
    process.env.PBMKIT_KEY_SOURCE_TEST = SECRET
    try {
      assert.equal(await read({ env: 'PBMKIT_KEY_SOURCE_TEST' }), SECRET)
    } finally {
      delete process.env.PBMKIT_KEY_SOURCE_TEST
    }
    await refused({ env: 'PBMKIT_KEY_SOURCE_TEST' }, /variable PBMKIT_KEY_SOURCE_TEST is not set/)
  })

  it('runs a command, without a shell', async () => {
    const print = ['-e', 'process.stdout.write(process.argv[1])']
    assert.equal(await read({ command: [process.execPath, ...print, '$HOME `id`'] }), '$HOME `id`')
  })

  it('says how a command failed, and nothing of what it wrote', async () => {
    const failing = `console.log(${JSON.stringify(SECRET)}); console.error(${JSON.stringify(SECRET)}); process.exit(3)`
    await refused({ command: [process.execPath, '-e', failing] }, /ended with exit code 3; run it by hand/)
    await refused({ command: [join(folder, 'nowhere'), SECRET] }, /is not there/)
    await refused({ command: [process.execPath, '-e', ''] }, /is empty: command/)
    await refused({ command: [] }, /is empty/)
  })

  it('ends a command that hangs, whatever it ignores and leaves behind', async () => {
    const path = join(folder, 'pids')
    const grandchild = `require('fs').appendFileSync('${path}', process.pid + ' '); setInterval(() => 1, 1000)`
    const hanging = `process.on('SIGTERM', () => 1); require('fs').appendFileSync('${path}', process.pid + ' ')
      require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}], { stdio: 'inherit' })
      setInterval(() => 1, 1000)`
    await refused({ command: [process.execPath, '-e', hanging] }, /did not end within 1.5 s/, undefined, 1500)
    const pids = (await readFile(path, 'utf8')).trim().split(' ').map(Number)
    assert.ok(pids.length > 0)
    for (const pid of pids) await ended(pid)
  })

  it('ends a command with a program that exits meanwhile', async () => {
    const path = join(folder, 'pid')
    const hanging = `require('fs').writeFileSync(${JSON.stringify(path)}, String(process.pid)); setInterval(() => 1, 1000)`
    const program = `
      import { existsSync, readFileSync } from 'node:fs'
      import { readKeySource } from ${JSON.stringify(new URL('./key-source.js', import.meta.url).href)}
      const context = { signal: new AbortController().signal, warn() {} }
      void readKeySource({ command: [process.execPath, '-e', ${JSON.stringify(hanging)}] }, 'key', context)
      const begun = () => existsSync(${JSON.stringify(path)}) && readFileSync(${JSON.stringify(path)}).length > 0
      setInterval(() => begun() && process.exit(0), 20)`
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    await ended(Number(await readFile(path, 'utf8')))
  })

  it('ends a command that never ends its output', async () => {
    const endless =
      "const write = () => { while (process.stdout.write('x'.repeat(65536))); process.stdout.once('drain', write) }; write()"
    await refused({ command: [process.execPath, '-e', endless] }, /wrote more than 1048576 bytes/)
  })

  it('ends a command when the process shuts down', async () => {
    const stopping = new AbortController()
    const reading = refused({ command: [process.execPath, '-e', 'setInterval(() => 1, 1000)'] }, /./, stopping.signal)
    setTimeout(() => stopping.abort(), 50)
    await reading
  })

  it('wants exactly one place', async () => {
    await refused({}, /exactly one place/)
    await refused({ env: 'A', file: 'b' }, /exactly one place/)
  })
})

/** Waits until a killed process is gone, or only its entry is left for whoever collects it. */
async function ended(pid: number): Promise<void> {
  for (let looks = 0; looks < 200; looks++) {
    const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
    if (/\) [ZX]/.test(status)) return
    await sleep(50)
  }
  assert.fail(`process ${pid} lives`)
}
