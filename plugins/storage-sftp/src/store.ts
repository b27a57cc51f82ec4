import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import { defineStore, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import type { Channel } from './channel.js'
import { copyObject } from './copy.js'
import { translated } from './errors.js'
import { removeEmptyFolders } from './folders.js'
import { listObjects } from './list.js'
import { maxObjectBytes, type SftpOptions, serverOf } from './options.js'
import { channelFor, lookUp, missing, type Place, pathOf, unless } from './place.js'
import { openRead } from './read.js'
import { writeBody, writeObject } from './write.js'

/**
 * Objects as files below a folder of a server. `channel` is that of the connection; `maxSegmentBytes` what the
 * filesystem of the server keeps.
 */
export function sftpStore(
  place: Place,
  channel: Channel,
  maxSegmentBytes: number,
  options: SftpOptions,
  context: PluginContext,
): ObjectStore {
  const { connection, root } = place
  const server = serverOf(options)

  return defineStore(context, {
    capabilities: {
      ifAbsent: channel.has('hardlink@openssh.com'),
      serverSideCopy: channel.has('copy-data'),
      modifiedAt: true,
      maxSegmentBytes,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      reservedSuffix: TEMPORARY_SUFFIX,
    },
    whyNotIfAbsent: `the server offers no hard links (hardlink@openssh.com), without which "only if absent" can't be kept`,
    show: (name) => `${server}:${pathOf(root, name)}`,
    translate: (error, { doing }) => translated(error, doing),

    save: (name, body, save, operation) =>
      writeObject(place, name, save.ifAbsent === true, operation, (channel, handle) =>
        writeBody(place, channel, handle, body, save, operation),
      ),

    read: (name, range, operation) => openRead(place, name, range, operation),

    stat: async (name, operation) => lookUp(await channelFor(place, operation), root, name),

    list: (prefix, operation) => listObjects(place, prefix, operation),

    delete: async (name, operation) => {
      const channel = await channelFor(place, operation)
      await operation.orEnd(lookUp(channel, root, name))
      const removing = async () => {
        await channel.remove(pathOf(root, name)).catch(async (error: unknown) => {
          throw await missing(error, channel, root, name)
        })
        await removeEmptyFolders(channel, root, name)
      }
      // Not to be cut: nobody could tell whether it took place.
      await operation.uncut((late) => unless(late, removing()))
    },

    copy: (source, target, copy, operation) => copyObject(place, source, target, copy, operation),

    close: () => connection.close(),

    isThere: async (name, operation) => {
      const channel = await channelFor(place, operation)
      return channel.look(pathOf(root, name)).then(
        () => true,
        () => false,
      )
    },
  })
}
