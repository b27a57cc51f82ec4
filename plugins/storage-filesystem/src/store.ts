import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { ObjectStore, PluginContext, TransferOptions } from '@pbmkit/core/plugin'
import { defineStore, type Operation, type StoredObject, TEMPORARY_SUFFIX } from '@pbmkit/core/plugin/kit'
import { translated } from './errors.js'
import { removeEmptyFolders } from './folders.js'
import { listObjects } from './list.js'
import {
  bufferBytes,
  DEFAULT_READ_BYTES,
  DEFAULT_WRITE_BYTES,
  type FilesystemOptions,
  maxObjectBytes,
  modesOf,
} from './options.js'
import { bytesOf, lookUp, openObject } from './read.js'
import { BlockWriter, writeObject } from './write.js'

/** What Linux, macOS and Windows filesystems keep as one file or folder name. */
const MAX_SEGMENT_BYTES = 255

/** Objects as files below a folder. `root` is a real path: no part of it is a link. */
export function filesystemStore(root: string, options: FilesystemOptions, context: PluginContext): ObjectStore {
  const readBytes = bufferBytes(options.restoreBuffSize, DEFAULT_READ_BYTES)
  const writeBytes = bufferBytes(options.backupBuffSize, DEFAULT_WRITE_BYTES)
  const modes = modesOf(options.fileMode)

  return defineStore(context, {
    capabilities: {
      ifAbsent: true,
      serverSideCopy: false,
      modifiedAt: true,
      maxSegmentBytes: MAX_SEGMENT_BYTES,
      maxObjectBytes: maxObjectBytes(options.maxObjSizeGB),
      reservedSuffix: TEMPORARY_SUFFIX,
    },
    show: (name) => join(root, name),
    translate: (error, { doing }) => translated(error, doing),

    save: (name, body, save, operation) => write(name, body, save.ifAbsent === true, save, operation),

    read: async (name, { offset, length }) => {
      const { file, size } = await openObject(root, name)
      const range = { first: offset, end: Math.min(size, offset + length) }
      const free = () => file.close()
      if (range.first < range.end) return { bytes: bytesOf(file, join(root, name), range, readBytes), free }
      await free()
      return undefined
    },

    stat: (name) => lookUp(root, name),

    list: (prefix, operation) => listObjects(root, prefix, operation),

    delete: async (name) => {
      await lookUp(root, name)
      await unlink(join(root, name))
      await removeEmptyFolders(root, name)
    },

    copy: async (source, target, copy, operation) => {
      const { file, size } = await openObject(root, source)
      try {
        const body = bytesOf(file, join(root, source), { first: 0, end: size }, readBytes)
        return await write(target, operation.each(body), false, copy, operation)
      } finally {
        await file.close()
      }
    },

    isThere: (name) =>
      lookUp(root, name).then(
        () => true,
        () => false,
      ),
  })

  function write(
    name: string,
    body: AsyncIterable<Uint8Array>,
    ifAbsent: boolean,
    { onProgress }: TransferOptions,
    operation: Operation,
  ): Promise<StoredObject> {
    return writeObject(root, name, { ifAbsent, modes }, async (file) => {
      const writer = new BlockWriter(file, writeBytes, (bytes) => onProgress?.(bytes))
      try {
        for await (const chunk of body) await writer.add(chunk)
        await writer.end()
        operation.check()
      } catch (error) {
        await writer.abandon()
        throw error
      }
    })
  }
}
