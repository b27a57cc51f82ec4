import assert from 'node:assert/strict'
import { behind } from './write.js'

describe('writing chunks of which the system took only some bytes', () => {
  const chunks = ['abc', '', 'de', 'f', ''].map((text) => Buffer.from(text))
  for (let bytes = 0; bytes <= 6; bytes++) {
    it(`goes on behind byte ${bytes} of 6`, () => {
      const rest = behind(chunks, bytes)
      assert.equal(Buffer.concat(rest).toString(), 'abcdef'.slice(bytes))
      assert.ok(bytes < 6 || rest.length === 0)
    })
  }
})
