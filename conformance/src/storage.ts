import type { StoragePlugin } from '@pbmkit/core/plugin'
import { type CaseLimit, limited, type TestRunner } from './runner.js'
import { abortCases } from './storage/abort.js'
import { atomicCases } from './storage/atomic.js'
import { copyCases } from './storage/copy.js'
import { deleteCases } from './storage/delete.js'
import type { Refusal, StorageBench } from './storage/fixture.js'
import { handleCases } from './storage/handles.js'
import { largeCases } from './storage/large.js'
import { lifeCases } from './storage/life.js'
import { listCases } from './storage/list.js'
import { nameCases } from './storage/names.js'
import { pluginCases } from './storage/plugin.js'
import { readCases } from './storage/read.js'
import { refusalCases } from './storage/refusals.js'
import { saveCases } from './storage/save.js'
import { statCases } from './storage/stat.js'

export interface StorageSuiteOptions<Options extends object> extends TestRunner, CaseLimit {
  /** The plugin as its package exports it. */
  readonly plugin: StoragePlugin<Options>
  /** Options of a store that is empty and that nobody else uses, anew for each call: a new folder, a new prefix. */
  readonly options: () => Options | Promise<Options>
  /**
   * Bytes that stand before each name of the suite where the store under test is a folder of another one, as in
   * `pbm storage check`: the longest names are shorter by so much. 0 when absent, as it is for a plugin of its own.
   */
  readonly reservedNameBytes?: number
  /**
   * Options with which the storage can't be used, by the code that has to say so, as far as your test can bring it about:
   * wrong credentials, a port where nobody listens, a full disk. What is left out is not tried.
   */
  readonly failing?: { readonly [Code in Refusal]?: () => Options | Promise<Options> }
}

/**
 * The whole contract of a storage plugin as test cases, under any runner. What a store can't do it says in its
 * `capabilities`; then the cases check that it refuses with the right code.
 */
export function storageConformance<Options extends object>(suite: StorageSuiteOptions<Options>): void {
  const { describe, plugin, options, reservedNameBytes, failing } = suite
  const bench: StorageBench = { it: limited(suite.it, suite), plugin, options, reservedNameBytes, failing }
  describe(`storage plugin ${plugin.name}`, () => {
    describe('what it says of itself', () => pluginCases(bench))
    describe('names', () => nameCases(bench))
    describe('save', () => saveCases(bench))
    describe('read', () => readCases(bench))
    describe('stat', () => statCases(bench))
    describe('list', () => listCases(bench))
    describe('delete', () => deleteCases(bench))
    describe('copy', () => copyCases(bench))
    describe('atomic visibility', () => atomicCases(bench))
    describe('aborting', () => abortCases(bench))
    describe('many at once, and closing', () => lifeCases(bench))
    describe('what stays open', () => handleCases(bench))
    if (failing !== undefined) describe('what can not be used', () => refusalCases(bench))
    describe('size', () => largeCases(bench))
  })
}
