import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { damageCases } from './compression-damage.js'
import { levelCases, plainCases } from './compression-levels.js'
import { lifecycleCases } from './compression-lifecycle.js'
import { roundTripCases } from './compression-round-trip.js'
import { streamingCases } from './compression-streaming.js'
import { type CaseLimit, limited, type TestRunner } from './runner.js'

export interface CompressionSuiteOptions extends TestRunner, CaseLimit {
  /** The plugin as its package exports it. */
  readonly plugin: CompressionPlugin
}

/**
 * The whole contract of a compression plugin as test cases, under any runner.
 *
 * A plugin with an empty suffix stores bytes as they are (`none`); it can't know damage, so that those cases are left
 * out for it. Every other format must carry a checksum.
 */
export function compressionConformance(suite: CompressionSuiteOptions): void {
  const { describe, plugin } = suite
  const it = limited(suite.it, suite)
  describe(`compression plugin ${plugin.name}`, () => {
    describe('what it says of itself', () => plainCases(it, plugin))
    describe('levels', () => levelCases(it, plugin))
    describe('round trips', () => roundTripCases(it, plugin))
    describe('chunks and concatenation', () => streamingCases(it, plugin))
    describe('sources and readers that stop', () => lifecycleCases(it, plugin))
    if (plugin.suffix !== '') describe('damaged streams', () => damageCases(it, plugin))
  })
}
