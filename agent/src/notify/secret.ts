import { readFile, stat } from 'node:fs/promises'
import { PbmError, type SecretReference } from '@pbmkit/core'

const MOST_BYTES = 16_384

/**
 * A secret that a notification names. That its file may be read here is checked before, for the whole notification. Rejects with
 * NOTIFY_SECRET, which never holds it.
 */
export async function readSecret(
  { file, env }: SecretReference,
  what: string,
  environment = process.env,
): Promise<string> {
  const value = file === undefined ? environment[env ?? ''] : await textOf(file, what)
  const secret = value?.trim() ?? ''
  if (secret === '') throw missing(what, file === undefined ? `${env} is not set here` : `${file} is empty`)
  if (!/^[\x20-\x7e]+$/.test(secret)) throw missing(what, 'it is not one line of printable ASCII')
  return secret
}

async function textOf(file: string, what: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size <= MOST_BYTES) return await readFile(file, 'utf8')
  } catch (cause) {
    throw missing(what, `${file} can't be read`, cause)
  }
  throw missing(what, `${file} is too large`)
}

function missing(what: string, why: string, cause?: unknown): PbmError {
  return new PbmError('NOTIFY_SECRET', `the secret of ${what} is not at hand: ${why}`, {
    hint: 'Every agent that may lead the cluster needs it: those of the config servers, or of the replica set',
    cause,
  })
}
