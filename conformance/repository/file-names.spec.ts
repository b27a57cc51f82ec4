import assert from 'node:assert/strict'
import { nameFaults } from './file-names.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'
import { importGraph } from './import-graph.js'

describe('names of files', () => {
  it('say what is a test, and what is its helper', () => {
    const root = repositoryRoot()
    // A plugin of a stranger has its own habits.
    const elsewhere = /^(create-pbmkit-plugin\/templates|examples)\//
    const files = repositoryFiles(root).filter((path) => path.endsWith('.ts') && !elsewhere.test(path))
    const faults = nameFaults(importGraph(files, (path) => readText(root, path)))
    assert.ok(faults.length === 0, faults.join('\n'))
  })

  it('are told where they do not', () => {
    const graph = new Map([
      ['core/src/lock.ts', ['core/src/testing.spec.ts']],
      ['core/src/lock.spec.ts', ['core/src/lock.ts', 'core/src/lock.support.ts', 'core/src/testing.spec.ts']],
      ['core/src/lock.support.ts', ['core/src/other.support.ts']],
      ['core/src/other.support.ts', []],
      ['core/src/testing.spec.ts', []],
      ['core/src/main.ts', ['core/src/lock.support.ts']],
      ['core/src/lock.e2e.support.ts', []],
      ['core/src/orphan.fixture.ts', []],
    ])
    assert.deepEqual(nameFaults(graph), [
      'core/src/lock.ts → core/src/testing.spec.ts: what tests share is a *.support.ts',
      'core/src/lock.spec.ts → core/src/testing.spec.ts: what tests share is a *.support.ts',
      'core/src/main.ts → core/src/lock.support.ts: only tests import their helpers; what is more than that is named otherwise',
      'core/src/lock.e2e.support.ts: is no name.ts, name.spec.ts, name.e2e.ts or name.support.ts',
      'core/src/orphan.fixture.ts: is no name.ts, name.spec.ts, name.e2e.ts or name.support.ts',
    ])
  })
})
