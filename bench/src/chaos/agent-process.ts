import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { type MongodProcess, spawnSupervised } from '@pbmkit/conformance/testbed'
import { pbmkit } from '../system.js'

/** The agent beside one member, through all its lives. */
export class AgentProcess {
  readonly member: MongodProcess
  readonly #uri: string
  #child: ChildProcess | undefined
  #output = ''

  constructor(member: MongodProcess, uri: string) {
    this.member = member
    this.#uri = uri
  }

  start(): void {
    const [command, ...args] = pbmkit().agent
    const child = spawnSupervised(command, args, {
      env: { PATH: process.env.PATH, PBM_MONGODB_URI: this.#uri, PBM_ALLOW_FILES: tmpdir() },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString()
      })
    }
    this.#child = child
  }

  /** Of all its lives. */
  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.running || this.#child === undefined) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }
}
