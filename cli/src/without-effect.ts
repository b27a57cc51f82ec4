import { isDeepStrictEqual } from 'node:util'
import type { Config } from '@pbmkit/core'

/** Keys of PBM that are kept for it and change nothing here: they concern how PBM restores. */
const UNUSED = {
  restore: ['numDownloadWorkers', 'maxDownloadBufferMb', 'downloadChunkMb', 'mongodLocation', 'mongodLocationMap'],
} as const

/** PBM's keys of `storage.gcs` of the same sort. */
const UNUSED_OF_GCS = ['clientType', 'parallelUploadConcurrency'] as const

/** What was set just now and has no effect here, as people write it: `storage.s3`, `restore.downloadChunkMb`. */
export function keysWithoutEffect(next: Config, previous: Config | undefined, usedBlock: string): string[] {
  const changed = (...path: string[]) => {
    const value = valueAt(next, path)
    return value !== undefined && !isDeepStrictEqual(value, valueAt(previous, path))
  }
  const blocks = Object.keys(next.storage).filter((name) => name !== 'type' && name !== usedBlock)
  const paths = [
    ['name'],
    ...blocks.map((name) => ['storage', name]),
    ...(usedBlock === 'gcs' ? UNUSED_OF_GCS.map((key) => ['storage', 'gcs', key]) : []),
    ...Object.entries(UNUSED).flatMap(([section, keys]) => keys.map((key) => [section, key])),
  ]
  return paths.filter((path) => changed(...path)).map((path) => path.join('.'))
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (below, key) => (typeof below === 'object' && below !== null ? Reflect.get(below, key) : undefined),
    value,
  )
}
