import { useEffect, useState } from 'preact/hooks'
import type { LiveState, LogLine } from '../protocol.js'

/** Kept for looking back; what is older is asked for. */
const MOST_LINES = 2_000

export interface Seen extends Partial<LiveState> {
  readonly lines: readonly LogLine[]
  readonly isConnected: boolean
  /** The session is over. */
  readonly hasEnded: boolean
}

const NOTHING: Seen = { lines: [], isConnected: false, hasEnded: false }
const PARTS = ['cluster', 'running', 'schedules', 'history', 'trouble'] as const satisfies readonly (keyof LiveState)[]

/** What the server tells, as long as the component is there. */
export function useLiveState(): Seen {
  const [seen, setSeen] = useState<Seen>(NOTHING)
  useEffect(() => {
    const source = new EventSource('/api/events')
    const change = (changed: Partial<Seen>) => setSeen((before) => ({ ...before, ...changed }))
    // Whoever connects anew is told everything anew.
    source.addEventListener('open', () => change({ isConnected: true, lines: [] }))
    source.addEventListener('error', () => {
      // Refused, and not merely interrupted: it tries no more.
      change({ isConnected: false, ...(source.readyState === EventSource.CLOSED ? { hasEnded: true } : {}) })
    })
    source.addEventListener('ended', () => {
      source.close()
      change({ isConnected: false, hasEnded: true })
    })
    for (const part of PARTS)
      source.addEventListener(part, ({ data }: MessageEvent<string>) => change({ [part]: JSON.parse(data) }))
    source.addEventListener('log', ({ data }: MessageEvent<string>) =>
      setSeen((before) => ({
        ...before,
        lines: [...before.lines, ...(JSON.parse(data) as LogLine[])].slice(-MOST_LINES),
      })),
    )
    return () => source.close()
  }, [])
  return seen
}

/** Unix seconds, now and again every `seconds`. */
export function useNow(seconds = 1): number {
  const [now, setNow] = useState(() => Math.floor(Date.now() / 1000))
  useEffect(() => {
    const timer = setInterval(() => setNow(Math.floor(Date.now() / 1000)), seconds * 1000)
    return () => clearInterval(timer)
  }, [seconds])
  return now
}
