import { type Clock, printableJson, printableLine } from '@pbmkit/core'
import { SingleBar } from 'cli-progress'
import type { Output } from '../output/output.js'
import { type OverallProgress, plainLine, progressLine } from './progress.js'

/** Where a wait shows what it sees. */
export interface ProgressDisplay {
  update(status: string, progress: OverallProgress | undefined): void
  /** Takes the bar off the screen, so that what follows stands on a clean line. */
  stop(): void
}

/** What a session has of it. */
export interface ProgressPlace {
  readonly output: Output
  readonly io: { readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number } }
  readonly clock: Clock
}

/** Between two plain lines: a log should not fill with them. */
const PLAIN_MILLISECONDS = 10_000

/**
 * On standard error: with `-o json` a JSON line for each change; a bar on a terminal, and elsewhere a plain line at most each
 * 10 s.
 */
export function showProgress(
  { output, io, clock }: ProgressPlace,
  operation: 'backup' | 'restore' | 'replay' | 'key rotation' | 'dry run' | 'verification' | 'drill',
  name: string,
): ProgressDisplay {
  const label = `${operation} ${name}`.trimEnd()
  if (io.stderr.isTTY === true) return bar(io.stderr, label)
  return output.json ? jsonLines(output, operation, name) : plainLines(output, label, clock)
}

function plainLines(output: Output, label: string, clock: Clock): ProgressDisplay {
  let next = Number.NEGATIVE_INFINITY
  let last = ''
  return {
    update: (status, progress) => {
      const line = plainLine(label, status, progress)
      if (line === last || clock.now() < next) return
      output.note(line)
      last = line
      next = clock.now() + PLAIN_MILLISECONDS
    },
    stop: () => undefined,
  }
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

function jsonLines(output: Output, operation: string, name: string): ProgressDisplay {
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
