import { Writable } from 'node:stream'

/** Takes what is written for a terminal or a script, for who reads it in this process. */
export function collector(): { stream: Writable; text: () => string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}
