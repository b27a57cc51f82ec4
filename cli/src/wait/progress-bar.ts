import { printableJson, printableLine } from '@pbmkit/core'
import { SingleBar } from 'cli-progress'
import type { Output } from '../output/output.js'
import { type OverallProgress, progressLine } from './progress.js'

/** Where a wait shows what it sees. */
export interface ProgressDisplay {
  update(status: string, progress: OverallProgress | undefined): void
  /** Takes the bar off the screen, so that what follows stands on a clean line. */
  stop(): void
}

/** A bar on a terminal; otherwise JSON lines on standard error, one for each change. */
export function showProgress(
  output: Output,
  stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
  operation: 'backup' | 'restore' | 'replay' | 'key rotation',
  name: string,
): ProgressDisplay {
  return stderr.isTTY === true ? bar(stderr, `${operation} ${name}`) : lines(output, operation, name)
}

function bar(stderr: NodeJS.WritableStream & { readonly columns?: number }, label: string): ProgressDisplay {
  const single = new SingleBar({
    stream: stderr,
    hideCursor: true,
    clearOnComplete: true,
    fps: 10,
    format: (_options, _params, payload: { status: string; progress: OverallProgress | undefined }) =>
      printableLine(progressLine(label, payload.status, payload.progress, (stderr.columns ?? 80) - 1)),
  })
  let started = false
  return {
    update: (status, progress) => {
      const payload = { status, progress }
      // The line is drawn from the payload; the bar of the library only needs a value that never reaches its total.
      if (started) single.update(0, payload)
      else single.start(1, 0, payload)
      started = true
    },
    stop: () => {
      if (started) single.stop()
    },
  }
}

function lines(output: Output, operation: string, name: string): ProgressDisplay {
  let last = ''
  return {
    update: (status, progress) => {
      // A field that is undefined is left out of JSON.
      const line = printableJson(JSON.stringify({ progress: { operation, name, status, ...progress } }))
      if (line !== last) output.stderr.write(`${line}\n`)
      last = line
    },
    stop: () => undefined,
  }
}
