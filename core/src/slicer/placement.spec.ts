import assert from 'node:assert/strict'
import { betterPlaced } from './placement.js'

const member = (n: string, more: { s?: number; hdn?: boolean } = {}) => ({ n, s: 2, delay: 0, hdn: false, ...more })

describe('who is better placed to slice', () => {
  it('nobody, among equals', () => {
    assert.equal(betterPlaced('b', [member('a'), member('b')], {}), undefined)
  })

  it('a secondary, once the holder is primary', () => {
    assert.equal(betterPlaced('b', [member('a'), member('b', { s: 1 })], {}), 'a')
  })

  it('a hidden member', () => {
    assert.equal(betterPlaced('b', [member('a'), member('b'), member('c', { hdn: true })], {}), 'c')
  })

  it('the one with the configured priority', () => {
    assert.equal(betterPlaced('b', [member('a'), member('b'), member('c')], { priority: { c: 3 } }), 'c')
    assert.equal(betterPlaced('c', [member('a'), member('b'), member('c')], { priority: { c: 3 } }), undefined)
  })

  it('anyone, where the holder is not fit', () => {
    assert.equal(betterPlaced('b', [member('a', { s: 1 })], {}), 'a')
  })

  it('nobody, where nobody else is fit', () => {
    assert.equal(betterPlaced('b', [], {}), undefined)
    assert.equal(betterPlaced('b', [member('b', { s: 1 })], {}), undefined)
  })
})
