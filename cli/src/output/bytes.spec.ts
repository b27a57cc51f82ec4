import assert from 'node:assert/strict'
import { prettySize } from './bytes.js'

describe('sizes for people', () => {
  it('have IEC units with one decimal', () => {
    assert.equal(prettySize(0), '0 B')
    assert.equal(prettySize(1023), '1023 B')
    assert.equal(prettySize(1536), '1.5 KiB')
    assert.equal(prettySize(124_466_000), '118.7 MiB')
    assert.equal(prettySize(1_288_490_189), '1.2 GiB')
    assert.equal(prettySize(-1), 'unknown')
  })
})
