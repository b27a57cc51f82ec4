import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { Io } from '../io.js'
import { onScreen } from './screen.js'

describe('the screen of pbm top', () => {
  const terminal = () => {
    const raw: boolean[] = []
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) })
    let written = ''
    const stdout = { isTTY: true, rows: 2, write: (text: string) => (written += text) }
    const io = { stdin, stdout, stderr: new PassThrough(), env: {}, signal: new AbortController().signal } as Io
    return { io, stdin, raw, written: () => written }
  }

  for (const [name, key] of [
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
  ] as const) {
    it(`draws what fits until ${name}, and leaves the terminal as it was`, async () => {
      const { io, stdin, raw, written } = terminal()
      await onScreen(io, async ({ signal, draw }) => {
        draw('one\ntwo\nthree')
        stdin.write('x')
        stdin.write(key)
        while (!signal.aborted) await turn()
      })
      assert.deepEqual(raw, [true, false])
      assert.match(written(), /one.*two/s)
      assert.doesNotMatch(written(), /three/)
      // The cursor, and the screen before it.
      assert.ok(written().endsWith('\u001b[?25h\u001b[?1049l'))
    })
  }

  it('leaves it as it was also after a fault', async () => {
    const { io, raw, written } = terminal()
    await assert.rejects(
      onScreen(io, () => Promise.reject(new Error('broken'))),
      /broken/,
    )
    assert.deepEqual([raw, written().endsWith('\u001b[?1049l')], [[true, false], true])
  })
})
