import type { MongoClient } from 'mongodb'
import type { OperationLog } from '../../log.js'
import type { ScratchSettings } from '../../mongo/scratch-settings.js'
import type { NodeInfo } from '../../mongo/topology.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { DEFAULT_PARALLEL_FILES } from '../physical/fetch.js'
import { type OpenedFiles, withOpenedFiles } from '../physical/opened-files.js'
import type { Sources } from './sources.js'

export interface OpeningContext {
  readonly node: MongoClient
  readonly info: NodeInfo
  readonly log: OperationLog
  readonly progress: ProgressPublisher
  readonly scratch: ScratchSettings
  readonly signal: AbortSignal
}

/** Opens the files where the backup has files, for as long as `work` takes. Throws what {@link withOpenedFiles} throws. */
export async function withFilesOf<T>(
  sources: Sources,
  context: OpeningContext,
  work: (files: OpenedFiles | undefined) => Promise<T>,
): Promise<T> {
  const { backup, part, pointInTime, compression, tuning, stored: store } = sources
  if (backup.type === 'logical' || part === undefined || pointInTime?.newcomers.has(part.name) === true)
    return await work(undefined)
  const goesOnAt = pointInTime?.chunks[0]?.start
  const parallel = tuning.numParallelFiles ?? DEFAULT_PARALLEL_FILES
  return await withOpenedFiles({ ...context, backup, part, compression, store, parallel, goesOnAt }, work)
}
