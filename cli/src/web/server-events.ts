import type { ServerResponse } from 'node:http'
import type { Viewer } from './live.js'
import type { LogLine } from './protocol.js'
import type { Visitor } from './visitors.js'

/** A proxy between must not take a quiet stream for a dead one. */
const SIGN_OF_LIFE_MS = 20_000
const MOST_LINES = 1_000

/**
 * Sends what a visitor sees as server-sent events until they leave. To a slow reader only the newest of each part is sent, and
 * the newest lines of the log, so nothing piles up here.
 */
export function sendEvents(visitor: Visitor, response: ServerResponse, headers: Record<string, string>): void {
  response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
  const waiting = new Map<string, string>()
  let lines: readonly LogLine[] = []
  let isFull = false
  const flush = () => {
    while (!isFull && (waiting.size > 0 || lines.length > 0)) {
      const [next] = waiting
      if (next !== undefined) {
        waiting.delete(next[0])
        isFull = !response.write(`event: ${next[0]}\ndata: ${next[1]}\n\n`)
      } else {
        const data = JSON.stringify(lines)
        lines = []
        isFull = !response.write(`event: log\ndata: ${data}\n\n`)
      }
    }
  }
  response.on('drain', () => {
    isFull = false
    flush()
  })
  const viewer: Viewer = {
    state: (part, json) => {
      waiting.set(part, json)
      flush()
    },
    log: (fresh) => {
      lines = [...lines, ...fresh].slice(-MOST_LINES)
      flush()
    },
  }
  const stop = visitor.live.watch(viewer)
  const alive = setInterval(() => response.write(':\n\n'), SIGN_OF_LIFE_MS)
  // A session that has ended is told so, since the page would only connect again.
  const end = () => response.end('event: ended\ndata: {}\n\n')
  visitor.ended.addEventListener('abort', end, { once: true })
  response.on('error', () => undefined)
  response.on('close', () => {
    clearInterval(alive)
    visitor.ended.removeEventListener('abort', end)
    stop()
  })
}
