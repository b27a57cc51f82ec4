import assert from 'node:assert/strict'
import { isAbandoned, temporaryName } from './temporary-file.js'

const DAY = 24 * 3600 * 1000
const now = Date.now()

describe('temporary files', () => {
  it('have names of their own, that PBM does not list', () => {
    const names = new Set(Array.from({ length: 1000 }, temporaryName))
    assert.equal(names.size, 1000)
    for (const name of names) assert.ok(name.startsWith('.pbmkit-') && name.endsWith('.tmp') && name.length < 100)
  })

  it('of this process are never abandoned, however old', () => {
    assert.equal(isAbandoned(temporaryName(), new Date(now - 100 * DAY), now), false)
  })

  it('of a process that is gone are, however new', () => {
    const gone = temporaryName().replace(`-${process.pid}-`, '-4194304-')
    assert.equal(isAbandoned(gone, new Date(now), now), true)
  })

  it('of an earlier process with the same id are', function () {
    if (process.platform !== 'linux') this.skip()
    const earlier = temporaryName().replace(
      /-(\d+)-([0-9a-f]{16})/,
      (_, start: string, random: string) => `-${Number(start) - 1}-${random}`,
    )
    assert.equal(isAbandoned(earlier, new Date(now), now), true)
  })

  it('of another machine are after a day without a touch', () => {
    const foreign = temporaryName().replace(/[0-9a-f]{12}/, 'ffffffffffff')
    assert.equal(isAbandoned(foreign, new Date(now - DAY + 1000), now), false)
    assert.equal(isAbandoned(foreign, new Date(now - DAY - 1000), now), true)
  })

  for (const name of ['object.tmp', '.pbmkit.tmp', 'x.pbmkit-0-0-0-0.tmp', 'metadata.json.tmp']) {
    it(`of other programs are left alone: ${name}`, () => {
      assert.equal(isAbandoned(name, new Date(0), now), false)
    })
  }
})
