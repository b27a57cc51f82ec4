import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Programs to compare with; those that are not there are left out. */
export interface Peers {
  readonly mongodump: string | undefined
  readonly mongorestore: string | undefined
  readonly rclone: string | undefined
  /** The CLI and the agent of real PBM, both or none. */
  readonly pbm: { readonly cli: string; readonly agent: string } | undefined
}

export interface PeerFlags {
  readonly mongodump?: string | undefined
  readonly mongorestore?: string | undefined
  readonly rclone?: string | undefined
  readonly pbm?: string | undefined
  readonly pbmAgent?: string | undefined
}

export async function findPeers(flags: PeerFlags): Promise<Peers> {
  const mongodump = await answering(flags.mongodump ?? 'mongodump', ['--version'], /mongodump/)
  const mongorestore = await answering(flags.mongorestore ?? 'mongorestore', ['--version'], /mongorestore/)
  const rclone = await answering(flags.rclone ?? 'rclone', ['version'], /^rclone v/)
  // Our own CLI has the same name: only a real one tells the Go it was built with.
  const cli = await answering(flags.pbm ?? 'pbm', ['version'], /GoVersion/i)
  const agent = await answering(flags.pbmAgent ?? 'pbm-agent', ['version'], /GoVersion/i)
  const pbm = cli === undefined || agent === undefined ? undefined : { cli, agent }
  return { mongodump, mongorestore, rclone, pbm }
}

async function answering(command: string, args: string[], expected: RegExp): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(command, args)
    return expected.test(stdout + stderr) ? command : undefined
  } catch {
    return undefined
  }
}
