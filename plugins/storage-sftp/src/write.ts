import { PluginError, type SaveOptions } from '@pbmkit/core/plugin'
import { exists, type Operation, PartSource, TOUCH_EVERY, temporaryName } from '@pbmkit/core/plugin/kit'
import { type Channel, STATUS_CODE, statusOf } from './channel.js'
import { explained } from './errors.js'
import { inFolderOf, removeEmptyFolders } from './folders.js'
import { folderOf } from './names.js'
import { channelFor, type Place, pathOf, requireRoot, unless, widthOf } from './place.js'

export interface Written {
  readonly size: number
  readonly modifiedAt: Date
}

/** How long a failed save waits for its temporary file to be removed; then that goes on behind (milliseconds). */
const CLEANUP_MS = 2_000

/**
 * Makes the object `name` out of what `fill` writes into a file of its own: written under a temporary name in the same
 * folder, synced where the server can, and moved into place. Whatever fails, the temporary file goes and the old object
 * stays.
 */
export async function writeObject(
  place: Place,
  name: string,
  ifAbsent: boolean,
  operation: Operation,
  fill: (channel: Channel, handle: Buffer) => Promise<void>,
): Promise<Written> {
  const { connection, root } = place
  const doing = `writing ${pathOf(root, name)}`
  const channel = await channelFor(place, operation)
  const temporary = pathOf(root, `${folderOf(name)}${temporaryName()}`)
  const creating = inFolderOf(channel, root, name, () => channel.create(temporary))
  let isOpen = true
  let touching: NodeJS.Timeout | undefined
  const work = async (): Promise<Written> => {
    const file = await operation.orEnd(creating)
    // A slow body must not look like one that was left behind to a process on another machine.
    touching = setInterval(() => void channel.touch(file, new Date()).catch(() => undefined), TOUCH_EVERY)
    touching.unref()
    await fill(channel, file)
    // Sent together, carried out in this order. A file that is closed twice would be somebody else's.
    isOpen = false
    const syncing = channel.has('fsync@openssh.com') ? channel.sync(file) : Promise.resolve()
    const ending = [syncing, channel.attributesOf(file), channel.closeHandle(file)] as const
    const [, { size, modifiedAt }] = await operation.orEnd(Promise.all(ending))
    operation.check()
    // Not to be cut: nobody could tell whether it took place.
    await operation.uncut((late) =>
      unless(late, ifAbsent ? takePlace(channel, temporary, root, name) : replace(place, channel, temporary, name)),
    )
    return { size, modifiedAt }
  }
  try {
    const written = await work()
    if (ifAbsent) await connection.remove(channel, temporary)
    return written
  } catch (error) {
    const reason = channel.isLost ? error : await explained(error, channel, root, doing)
    const cleaning = (async () => {
      // Also when the call has ended before the file was there.
      const file = await creating.catch(() => undefined)
      if (file !== undefined && isOpen) await channel.closeHandle(file).catch(() => undefined)
      await connection.remove(channel, temporary)
      if (!channel.isLost) await removeEmptyFolders(channel, root, name).catch(() => undefined)
    })()
    await unless(AbortSignal.timeout(CLEANUP_MS), cleaning).catch(() => undefined)
    if (statusOf(reason) !== STATUS_CODE.NO_SUCH_FILE) throw reason
    await requireRoot(channel, root)
    const text = `${doing}: the folder or the file was taken away while it was written`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: reason })
  } finally {
    clearInterval(touching)
  }
}

/** Drains a body into an open file, with many requests under way. */
export async function writeBody(
  place: Place,
  channel: Channel,
  handle: Buffer,
  body: AsyncIterable<Uint8Array>,
  options: Pick<SaveOptions, 'onProgress'>,
  operation: Operation,
): Promise<void> {
  const source = new PartSource(body)
  const width = widthOf(place, channel.writeBytes)
  const running = new Set<Promise<void>>()
  let written = 0
  try {
    for (let position = 0; ; ) {
      const part = await source.next(channel.writeBytes)
      if (part.length === 0) break
      while (running.size >= width) await operation.orEnd(Promise.race(running))
      operation.check()
      const writing: Promise<void> = channel
        .write(handle, part, position)
        .then(() => {
          source.release(part)
          written += part.length
          options.onProgress?.(written)
        })
        // Ends the operation, and with it the wait for the body.
        .catch((error: unknown) => operation.stop(error))
        .finally(() => running.delete(writing))
      running.add(writing)
      position += part.length
    }
    await operation.orEnd(Promise.all(running))
    operation.check()
  } catch (error) {
    // What stopped the call is what happened, not what failed because of that.
    operation.check()
    throw error
  }
}

async function replace(place: Place, channel: Channel, temporary: string, name: string): Promise<void> {
  const { connection, root } = place
  const target = pathOf(root, name)
  const move = async () => {
    if (channel.has('posix-rename@openssh.com')) return channel.posixRename(temporary, target)
    await channel.rename(temporary, target).catch(async (error: unknown) => {
      if (statusOf(error) !== STATUS_CODE.FAILURE) throw error
      // A server that can't replace: for a moment there is none of the two, never a part. The old one comes back where
      // the new one does not get there.
      if ((await channel.look(target)).kind !== 'file') throw error
      const aside = pathOf(root, `${folderOf(name)}${temporaryName()}`)
      await channel.rename(target, aside)
      await channel.rename(temporary, target).catch(async (failure: unknown) => {
        await channel.rename(aside, target).catch(() => undefined)
        throw failure
      })
      await connection.remove(channel, aside)
    })
  }
  await move().catch(async (error: unknown) => {
    const found = await channel.look(target).catch(() => undefined)
    if (found?.kind !== 'folder') throw error
    // An empty folder, which an interrupted process left, gives way.
    await channel.removeFolder(target).catch((cause: unknown) => {
      if (channel.isLost) throw cause
      const text = `${target} is a folder that holds objects, so no object can be kept under its name`
      throw new PluginError('STORAGE_INVALID_NAME', text, { cause })
    })
    await move()
  })
}

/** By a hard link, which unlike a rename fails when something is there. */
async function takePlace(channel: Channel, temporary: string, root: string, name: string): Promise<void> {
  const target = pathOf(root, name)
  await channel.hardLink(temporary, target).catch(async (error: unknown) => {
    if (channel.isLost) throw error
    if ((await channel.look(target).catch(() => undefined)) !== undefined) throw exists(target)
    const text = `${target}: the filesystem of the server has no hard links, without which "only if absent" can't be kept`
    const cannot = [STATUS_CODE.OP_UNSUPPORTED, STATUS_CODE.PERMISSION_DENIED].some((code) => code === statusOf(error))
    throw cannot ? new PluginError('STORAGE_NOT_SUPPORTED', text, { cause: error }) : error
  })
}
