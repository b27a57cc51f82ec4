import { type ObjectStore, type PluginContext, PluginError, type StoragePlugin } from '@pbmkit/core/plugin'
import { STATUS_CODE, statusOf } from './channel.js'
import { Connection } from './connection.js'
import { credentials } from './credentials.js'
import { translated } from './errors.js'
import { makeRoot } from './folders.js'
import { hostKeys } from './host-key.js'
import { optionsSchema, type SftpOptions, serverOf } from './options.js'
import { isMissing, type Place, requireRoot } from './place.js'
import { sftpStore } from './store.js'

export type { SftpOptions } from './options.js'

/** Keeps backups in a folder of any server that is reached by SSH. */
const sftp: StoragePlugin<SftpOptions> = { kind: 'storage', name: 'sftp', apiVersion: 1, optionsSchema, open, describe }

export default sftp

/** What Linux, BSD and Windows filesystems keep as one file name; less where the server says so. */
const MAX_SEGMENT_BYTES = 255

function describe(options: SftpOptions): string {
  const { username, path } = options
  return `sftp://${username === undefined ? '' : `${username}@`}${serverOf(options)}${path.startsWith('/') ? '' : '/~/'}${path}`
}

async function open(options: SftpOptions, context: PluginContext): Promise<ObjectStore> {
  const login = { options, keys: await hostKeys(options), credentials: await credentials(options) }
  const connection = new Connection(login)
  const opening = prepare(connection, options, context)
  const aborted = new Promise<never>((_, reject) => {
    const abort = () =>
      reject(new PluginError('STORAGE_ABORTED', 'opening was aborted', { cause: context.signal.reason }))
    if (context.signal.aborted) abort()
    context.signal.addEventListener('abort', abort, { once: true })
    const forget = () => context.signal.removeEventListener('abort', abort)
    opening.then(forget, forget)
  })
  try {
    return await Promise.race([opening, aborted])
  } catch (error) {
    await connection.close()
    throw translated(error, `opening ${describe(options)}`)
  }
}

async function prepare(connection: Connection, options: SftpOptions, context: PluginContext): Promise<ObjectStore> {
  const { path } = options
  const channel = await connection.channel()
  const found = await channel.follow(path).catch(async (error: unknown) => {
    if (!isMissing(error)) throw error
    if (context.mustExist === true) await requireRoot(channel, path)
    await makeRoot(channel, path)
    return channel.follow(path).catch((cause: unknown) => {
      throw isMissing(cause) || statusOf(cause) === STATUS_CODE.FAILURE ? cannotBeMade(options, cause) : cause
    })
  })
  if (found.kind !== 'folder') throw notAFolder(options)
  const root = await channel.realPath(path)
  const space = channel.has('statvfs@openssh.com') ? await channel.space(root).catch(() => undefined) : undefined
  const longest = space !== undefined && space.maxNameBytes > 0 ? space.maxNameBytes : MAX_SEGMENT_BYTES
  const place: Place = { connection, root, requestsInFlight: options.requestsInFlight }
  return sftpStore(place, channel, Math.min(longest, MAX_SEGMENT_BYTES), options, context)
}

function cannotBeMade(options: SftpOptions, cause: unknown): PluginError {
  const text = `storage.sftp.path ${options.path} does not exist on ${serverOf(options)} and can't be made; make it, and give the user write access`
  return new PluginError('STORAGE_DENIED', text, { cause })
}

function notAFolder(options: SftpOptions): PluginError {
  const text = `storage.sftp.path ${options.path} is not a folder on ${serverOf(options)}; name a folder`
  return new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
}
