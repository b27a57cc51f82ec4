import type { EncryptionPlugin } from '@pbmkit/core/plugin'
import { bindingCases } from './encryption/binding.js'
import { damageCases } from './encryption/damage.js'
import { type EncryptionBench, memoized } from './encryption/fixture.js'
import { keyCases } from './encryption/keys.js'
import { lifecycleCases } from './encryption/lifecycle.js'
import { pluginCases } from './encryption/plugin.js'
import { roundTripCases } from './encryption/round-trip.js'
import { secrecyCases } from './encryption/secrecy.js'
import { streamingCases } from './encryption/streaming.js'
import { wrappingCases } from './encryption/wrapping.js'
import { type CaseLimit, limited, type TestRunner } from './runner.js'

export interface EncryptionSuiteOptions<Options extends object> extends TestRunner, CaseLimit {
  /** The plugin as its package exports it. */
  readonly plugin: EncryptionPlugin<Options>
  /** Options that lead to a key which seals and opens: the same key at each call. */
  readonly options: () => Options | Promise<Options>
  /** Options that lead to another key, which opens nothing that the first one sealed. */
  readonly otherOptions: () => Options | Promise<Options>
  /** Options that seal with a newer key and still open what `options` sealed. Left out where a plugin has no such thing. */
  readonly rotatedOptions?: (() => Options | Promise<Options>) | undefined
  /** Options that name a place in which there is no key. */
  readonly missingOptions: () => Options | Promise<Options>
  /** Texts of secret keys that no error may show. */
  readonly secrets?: readonly string[] | undefined
  /** Whether the cases with wrapping keys have to run: true for a plugin whose keys `pbm key rotate` changes. */
  readonly wrapsKeys?: boolean | undefined
  /** Whether the cases with names have to run: true for a plugin whose objects open under their own names only. */
  readonly bindsNames?: boolean | undefined
}

/** The whole contract of an encryption plugin as test cases, under any runner. */
export function encryptionConformance<Options extends object>(suite: EncryptionSuiteOptions<Options>): void {
  const { describe, plugin, secrets = [], wrapsKeys = false, bindsNames = false } = suite
  const bench: EncryptionBench = {
    it: limited(suite.it, suite),
    plugin,
    secrets,
    options: memoized(suite.options),
    otherOptions: memoized(suite.otherOptions),
    missingOptions: memoized(suite.missingOptions),
    rotatedOptions: suite.rotatedOptions === undefined ? undefined : memoized(suite.rotatedOptions),
  }
  describe(`encryption plugin ${plugin.name}`, () => {
    describe('what it says of itself', () => pluginCases(bench, { wrapsKeys, bindsNames }))
    describe('round trips', () => roundTripCases(bench))
    describe('chunks', () => streamingCases(bench))
    describe('what can be seen from outside', () => secrecyCases(bench))
    describe('damaged objects', () => damageCases(bench))
    describe('keys', () => keyCases(bench))
    if (wrapsKeys) describe('wrapping keys', () => wrappingCases(bench))
    if (bindsNames) describe('names', () => bindingCases(bench))
    describe('sources and readers that stop', () => lifecycleCases(bench))
  })
}
