import assert from 'node:assert/strict'
import { type Format, Output } from './output.js'

const HOSTILE = '\u001b[2J\u001b]0;title\u0007\u009b1m\u202ename'

function outputOf(format: Format, isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, write: (text: string) => written.push(text) }
  return { written, output: new Output(format, stream, stream, {}) }
}

describe('What commands print', () => {
  for (const format of ['text', 'json', 'json-pretty'] as const) {
    it(`has nothing for the terminal in it but colours, as ${format}`, () => {
      const { written, output } = outputOf(format, true)
      const text = () => output.colours.bad(`backup ${HOSTILE}`)
      output.result({ name: HOSTILE }, text)
      output.entry({ name: HOSTILE }, text)
      output.note(HOSTILE)
      output.warn(HOSTILE)
      const painted = new RegExp(`${String.fromCharCode(0x1b)}\\[(?:1|2|22|3[1239])m`, 'g')
      for (const line of written) assert.doesNotMatch(line.replace(painted, ''), /[^\P{Cc}\n]|\u202e/u)
      assert.equal(written.length, 4)
      if (format === 'text') assert.match(written[0] ?? '', painted)
      else assert.equal((JSON.parse(written[0] ?? '') as { name: string }).name, HOSTILE)
    })
  }
})
