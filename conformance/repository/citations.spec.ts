import assert from 'node:assert/strict'
import { citationsOf, unresolved } from './citations.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

// Put together, so that the examples here are no citations of this file.
const cite = (place: string) => `/** Why (${'PBM'}: ${place}). */`

describe('citations of facts about PBM', () => {
  it('lead to a section, step or title that exists', () => {
    const root = repositoryRoot()
    const files = repositoryFiles(root)
    const references = new Map(
      files
        .filter((path) => path.startsWith('docs/reference/'))
        .map((path) => [path.slice('docs/reference/'.length), readText(root, path)]),
    )
    const faults = files
      .filter((path) => /\.(ts|js|mjs)$/.test(path))
      .flatMap((path) => {
        try {
          return citationsOf(readText(root, path)).flatMap(
            (citation) => unresolved(citation, references.get(citation.file)) ?? [],
          )
        } catch (error) {
          return `${path}: ${(error as Error).message}`
        }
      })
    assert.deepEqual(faults, [])
  })

  it('are read in every form, also over two lines', () => {
    assert.deepEqual(citationsOf(cite('a.md §1.2, §7')), [
      { file: 'a.md', section: '1.2', parts: [] },
      { file: 'a.md', section: '7', parts: [] },
    ])
    assert.deepEqual(citationsOf(cite('a.md §1,\n * steps 4 to 16')), [
      { file: 'a.md', section: '1', parts: ['4', '16'] },
    ])
    assert.deepEqual(citationsOf(cite('a.md §3, b-c.md §4, PITR nomination')), [
      { file: 'a.md', section: '3', parts: [] },
      { file: 'b-c.md', section: '4', parts: ['PITR nomination'] },
    ])
    assert.deepEqual(citationsOf(cite('a.md, Terms')), [{ file: 'a.md', section: 'Terms', parts: [] }])
    assert.deepEqual(citationsOf('// Missing is fine, as in PBM: it has not begun.'), [])
  })

  it('are refused in any other form', () => {
    for (const place of ['s3.go', 'a.md', 'a.md 1.2', 'a.md §1, "Data"', 'a.md §1 and more', 'a.md §1.2.3'])
      assert.throws(() => citationsOf(cite(place)), /write file\.md/, place)
  })

  it('resolve within their own section only', () => {
    const text =
      '# A\n\n## Terms\n\n## 1. One\n\n### 1.1 First\n\n1. do\n\n### Notes\n\n### 1.2 Second\n\n2. **Then** do\n\n## 2. Two\n'
    const fault = (place: string) => citationsOf(cite(place)).map((citation) => unresolved(citation, text))
    assert.deepEqual(fault('a.md §1.1, step 1'), [undefined])
    assert.deepEqual(fault('a.md §1.1, Notes'), [undefined])
    assert.deepEqual(fault('a.md §1, Then'), [undefined])
    assert.deepEqual(fault('a.md, Terms'), [undefined])
    assert.deepEqual(fault('a.md §1.1, step 2'), ['a.md §1.1 has no 2'])
    assert.deepEqual(fault('a.md §2, Then'), ['a.md §2 has no Then'])
    assert.deepEqual(fault('a.md §1.3'), ['a.md has no section 1.3'])
    assert.equal(unresolved({ file: 'b.md', section: '1', parts: [] }, undefined), 'there is no docs/reference/b.md')
  })
})
