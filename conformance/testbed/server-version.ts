import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { MongoClient } from 'mongodb'

const run = promisify(execFile)

/** `4.4.2` of a mongod's binary. */
export async function versionOfBinary(path: string): Promise<string> {
  const { stdout } = await run(path, ['--version'], { timeout: 60_000 })
  return /^db version v(\S+)/m.exec(stdout)?.[1] ?? ''
}

/** Of the server behind a client. */
export async function serverVersion(client: MongoClient): Promise<string> {
  return String((await client.db('admin').command({ buildInfo: 1 })).version)
}

/** Whether `version` is that of `least` (`5.0`) or later. */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => text.split('.').map(Number)
  const [[major = 0, minor = 0], [wantedMajor = 0, wantedMinor = 0]] = [numbers(version), numbers(least)]
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
