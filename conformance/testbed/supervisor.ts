import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A test process can end in ways that run none of its code (SIGKILL, a crash, a runner's time limit). What it
 * started must not outlive it, so one small shell watches a pipe that only this process holds: when the pipe
 * closes, for whatever reason, the shell kills the processes and removes the folders it was told of.
 * A session of its own (`detached`) keeps a terminal's Ctrl-C from ending the shell before its work is done.
 */
const WATCHER = `
set -f
newline='
'
pids=
folders=
while IFS=' ' read -r verb value; do
  case $verb in
    pid) pids="$pids $value " ;;
    forget-pid) rest=; for pid in $pids; do [ "$pid" = "$value" ] || rest="$rest $pid "; done; pids=$rest ;;
    folder) folders="$folders$value$newline" ;;
    forget-folder)
      rest=; IFS=$newline
      for folder in $folders; do [ "$folder" = "$value" ] || rest="$rest$folder$newline"; done
      unset IFS; folders=$rest ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
IFS=$newline
for tries in 1 2 3 4 5 6 7 8 9 10; do
  left=
  for folder in $folders; do rm -rf "$folder" 2>/dev/null; [ -e "$folder" ] && left=1; done
  [ -n "$left" ] || break
  sleep 0.2
done
`

let watcher: ChildProcess | undefined

function tell(line: string): void {
  if (watcher === undefined || watcher.exitCode !== null || watcher.signalCode !== null) {
    watcher = spawn('/bin/sh', ['-c', WATCHER], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    // Neither the shell nor the pipe may keep an otherwise finished process alive.
    watcher.unref()
    const pipe = watcher.stdin as unknown as { unref?: () => void } | null
    pipe?.unref?.()
    watcher.stdin?.on('error', () => undefined)
    for (const [pid] of supervised) watcher.stdin?.write(`pid ${pid}\n`)
    for (const folder of folders) watcher.stdin?.write(`folder ${folder}\n`)
  }
  watcher.stdin?.write(`${line}\n`)
}

const supervised = new Map<number, ChildProcess>()
const folders = new Set<string>()

/**
 * Like `child_process.spawn`, but the child is killed when this process ends, even by SIGKILL. It is put into a
 * process group of its own, so that Ctrl-C in a terminal reaches this process alone, which can then stop the
 * child in order.
 */
export function spawnSupervised(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(command, args, { ...options, detached: true })
  const { pid } = child
  if (pid !== undefined) {
    supervised.set(pid, child)
    tell(`pid ${pid}`)
    child.once('exit', () => {
      supervised.delete(pid)
      tell(`forget-pid ${pid}`)
    })
  }
  return child
}

/** Makes an empty folder that is removed when this process ends, even by SIGKILL. */
export async function temporaryFolder(prefix = 'pbmkit-'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix))
  folders.add(folder)
  tell(`folder ${folder}`)
  return folder
}

/** Removes a folder made by {@link temporaryFolder} before the process ends. */
export async function removeTemporaryFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  folders.delete(folder)
  tell(`forget-folder ${folder}`)
}
