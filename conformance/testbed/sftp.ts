import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, copyFile, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type FindSshdOptions, findSshd, type Sshd } from './find-sshd.js'
import { freePort } from './free-port.js'
import { isListening } from './probe.js'
import { removeTemporaryFolder, spawnSupervised, temporaryFolder } from './supervisor.js'

const run = promisify(execFile)
const START_TIMEOUT_MS = 60_000
const POLL_MS = 25
/** Of Debian, any of them: unlike `nobody` they may log in. */
const POWERLESS = ['games', 'backup', 'mail', 'daemon', 'bin']

export interface SftpOptions extends FindSshdOptions {
  /** More lines of `sshd_config`. */
  readonly settings?: readonly string[]
}

/** A running OpenSSH server on 127.0.0.1 that lets one user in, by key, for SFTP. */
export interface SftpServer {
  readonly host: string
  readonly port: number
  /** Never root: as root, this process starts the server as another user, so that permissions mean something. */
  readonly username: string
  /** Id of the user, for files that the server is to find. */
  readonly uid: number
  readonly privateKeyFile: string
  /** The same key, sealed with {@link passphrase}. */
  readonly sealedKeyFile: string
  readonly passphrase: string
  /** `SHA256:…` of its Ed25519 key; it has an RSA key, too. */
  readonly fingerprint: string
  /** A `known_hosts` file with the Ed25519 key. */
  readonly knownHosts: string
  /** Belongs to the user and goes with the server. */
  readonly folder: string
  logTail(): string
  /** Kills the processes that serve connections; new connections are taken. */
  killSessions(): Promise<void>
  /** SIGSTOP of the processes that serve connections, and SIGCONT. */
  signalSessions(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** Gives it another Ed25519 key, and starts it again. */
  changeHostKey(): Promise<void>
  kill(): Promise<void>
  /** Starts it again on the same port. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts an sshd and waits until it serves. Rejects when none can be had; see {@link findSshd}. */
export async function startSftp(options: SftpOptions = {}): Promise<SftpServer> {
  const found = await findSshd(options)
  const user = await runningUser()
  const base = await temporaryFolder('pbmkit-sftp-')
  const sshd = await within(base, found)
  const [folder, config, hostKey, rsaKey, key, sealed, known] = [
    ...['data', 'sshd_config', 'host', 'host_rsa', 'user', 'user_sealed', 'known_hosts'],
  ].map((name) => join(base, name)) as [string, string, string, string, string, string, string]
  const passphrase = 'a passphrase of the testbed'
  const generate = (path: string, type: string, secret = '') =>
    run(sshd.keygen, ['-q', '-t', type, '-N', secret, '-C', 'pbmkit testbed', '-f', path])
  await Promise.all([generate(hostKey, 'ed25519'), generate(rsaKey, 'rsa'), generate(key, 'ed25519')])
  await copyFile(key, sealed)
  await run(sshd.keygen, ['-q', '-p', '-P', '', '-N', passphrase, '-f', sealed])
  await mkdir(folder)
  const port = await freePort()
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `HostKey ${rsaKey}`,
    'PidFile none',
    `AuthorizedKeysFile ${key}.pub`,
    ...['StrictModes no', 'UsePAM no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'UseDNS no'],
    ...['MaxStartups 1000', 'MaxSessions 1000', 'Subsystem sftp internal-sftp'],
    ...(await settingsByVersion(sshd)),
    ...(options.settings ?? []),
  ]
  await writeFile(config, `${lines.join('\n')}\n`)
  const own = async () => {
    for (const name of [base, ...(await readdir(base)).map((each) => join(base, each))])
      await chown(name, user.uid, user.gid)
    for (const name of [hostKey, rsaKey, key, sealed]) await chmod(name, 0o600)
  }
  await own()
  const libraries = sshd.unpackedIn === undefined ? undefined : await libraryPath(sshd.unpackedIn)
  let log = ''
  const start = async () => {
    const child = spawnSupervised(sshd.path, ['-D', '-e', '-f', config], {
      ...(process.getuid?.() === 0 ? { uid: user.uid, gid: user.gid } : {}),
      cwd: '/',
      env: { PATH: process.env.PATH, ...(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries }) },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4000)
    })
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
    })
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await isListening(port))) {
      if (failure !== undefined) throw failure
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`sshd ended at once:\n${log}`)
      if (Date.now() > deadline) throw new Error(`sshd does not listen after ${START_TIMEOUT_MS} ms:\n${log}`)
      await sleep(POLL_MS)
    }
    return child
  }
  let child = await start()
  const signalSessions = async (signal: NodeJS.Signals) => {
    for (const pid of await descendants(child.pid ?? 0)) tryKill(pid, signal)
  }
  const kill = async () => {
    await signalSessions('SIGKILL')
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    await signalSessions('SIGKILL')
  }
  const publicKey = await readFile(`${hostKey}.pub`, 'utf8')
  await writeFile(known, `[127.0.0.1]:${port} ${publicKey}`)
  const { stdout } = await run(sshd.keygen, ['-lf', `${hostKey}.pub`])
  return {
    ...{ host: '127.0.0.1', port, username: user.name, uid: user.uid, privateKeyFile: key, folder },
    ...{ sealedKeyFile: sealed, passphrase, fingerprint: stdout.split(' ')[1] ?? '', knownHosts: known },
    logTail: () => log,
    killSessions: () => signalSessions('SIGKILL'),
    signalSessions,
    changeHostKey: async () => {
      await kill()
      await rm(hostKey)
      await generate(hostKey, 'ed25519')
      await own()
      child = await start()
    },
    kill,
    restart: async () => {
      await kill()
      child = await start()
    },
    stop: async () => {
      await kill()
      await removeTemporaryFolder(base)
    },
  }
}

/** The cache may lie where only this process may look, in the home of root. */
async function within(base: string, sshd: Sshd): Promise<Sshd> {
  if (sshd.unpackedIn === undefined) return sshd
  const copy = join(base, 'sshd')
  await cp(sshd.unpackedIn, copy, { recursive: true, verbatimSymlinks: true })
  return { ...sshd, path: join(copy, 'usr/sbin/sshd'), unpackedIn: copy }
}

async function runningUser(): Promise<{ name: string; uid: number; gid: number }> {
  const { username, uid, gid } = userInfo()
  if (uid !== 0) return { name: username, uid, gid }
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of POWERLESS) {
    const found = lines.find(([each]) => each === name)
    if (found !== undefined) return { name, uid: Number(found[2]), gid: Number(found[3]) }
  }
  throw new Error(`no OpenSSH server: as root, one of the users ${POWERLESS.join(', ')} is needed to run it`)
}

/** What only some versions know, and refuse to start over otherwise. */
async function settingsByVersion({ path, unpackedIn }: Sshd): Promise<string[]> {
  // Prints its version and fails, whatever the version.
  const printed = await run(path, ['-V'], {
    env: { ...process.env, ...(unpackedIn === undefined ? {} : { LD_LIBRARY_PATH: await libraryPath(unpackedIn) }) },
  }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: unknown) => String((error as { stderr?: unknown }).stderr),
  )
  const [, major = '0', minor = '0'] = /OpenSSH_(\d+)\.(\d+)/.exec(printed) ?? []
  if (Number(major) * 100 + Number(minor) < 908) return []
  const inside = (name: string) => join(unpackedIn ?? '', 'usr/lib/openssh', name)
  const helpers = unpackedIn === undefined ? [] : [`SshdSessionPath ${inside('sshd-session')}`]
  const auth = helpers.length > 0 && Number(major) >= 10 ? [`SshdAuthPath ${inside('sshd-auth')}`] : []
  // Tests that log in wrongly would lock out those after them.
  return ['PerSourcePenalties no', ...helpers, ...auth]
}

async function libraryPath(root: string): Promise<string> {
  const folders: string[] = []
  for (const lib of ['usr/lib', 'lib']) {
    const names = await readdir(join(root, lib)).catch(() => [])
    folders.push(
      join(root, lib),
      ...names.filter((name) => name.includes('-linux-')).map((name) => join(root, lib, name)),
    )
  }
  return folders.join(':')
}

async function descendants(ancestor: number): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    // The second field is the program's name in brackets and may hold spaces; the fourth is the parent.
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent !== undefined && parent > 0 && (parent === ancestor || isBelow(parent))
  }
  return [...parents.keys()].filter(isBelow)
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Ended by itself.
  }
}
