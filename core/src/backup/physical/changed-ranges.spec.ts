import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BLOCK_BYTES } from './block-hash.js'
import { BlockIndex } from './block-index.js'
import { ChangedRanges, changedRanges, type Range } from './changed-ranges.js'

const KIB = 1024

describe('what has changed of a file', () => {
  let folder: string
  let file: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-blocks-'))
    file = join(folder, 'a.wt')
  })
  after(() => rm(folder, { recursive: true }))

  let count = 0
  const scanned = async (before: BlockIndex): Promise<{ now: BlockIndex; ranges: Range[] }> => {
    const { size } = await stat(file)
    const now = await BlockIndex.create(join(folder, `index${count++}`), [{ path: 'a.wt', size }])
    const { signal } = new AbortController()
    return { now, ranges: await changedRanges({ file, path: 'a.wt', size, before, now, signal }) }
  }
  const overwrite = async (offset: number) => {
    const handle = await open(file, 'r+')
    await handle.write(randomBytes(10), 0, 10, offset)
    await handle.close()
  }

  it('is found block by block, and joined where little lies between', async () => {
    await writeFile(file, randomBytes(3 * 1024 * KIB + 100))
    const nothing = await BlockIndex.create(join(folder, 'nothing'), [{ path: 'a.wt', size: 0 }])
    const first = await scanned(nothing)
    assert.deepEqual(first.ranges, [{ offset: 0, length: 3 * 1024 * KIB + 100 }])
    assert.deepEqual((await scanned(first.now)).ranges, [])

    await overwrite(5)
    await overwrite(200 * KIB)
    await overwrite(2 * 1024 * KIB - 3)
    await overwrite(3 * 1024 * KIB + 50)
    const second = await scanned(first.now)
    assert.deepEqual(second.ranges, [
      { offset: 0, length: 256 * KIB },
      { offset: 1984 * KIB, length: 128 * KIB },
      { offset: 3072 * KIB, length: 100 },
    ])
    assert.deepEqual((await scanned(second.now)).ranges, [])
    for (const index of [nothing, first.now, second.now]) await index.close()
  })

  it('has the end of a file that is longer or shorter, also where all else is the same', async () => {
    await writeFile(file, Buffer.alloc(4 * BLOCK_BYTES))
    const nothing = await BlockIndex.create(join(folder, 'nothing'), [{ path: 'a.wt', size: 0 }])
    const first = await scanned(nothing)
    await truncate(file, 2 * BLOCK_BYTES)
    const second = await scanned(first.now)
    assert.deepEqual(second.ranges, [{ offset: BLOCK_BYTES, length: BLOCK_BYTES }])
    await truncate(file, 2 * BLOCK_BYTES + 7)
    assert.deepEqual((await scanned(second.now)).ranges, [{ offset: 2 * BLOCK_BYTES, length: 7 }])
  })

  it('is a bounded number of ranges, which leave nothing out', () => {
    const blocks = Array.from({ length: 20_000 }, (_, at) => at * 7)
    const changed = new ChangedRanges(200_000 * BLOCK_BYTES)
    for (const block of blocks) changed.add(block)
    const { ranges } = changed
    assert.ok(ranges.length <= 4096)
    const isIn = (block: number) =>
      ranges.some(({ offset, length }) => offset <= block * BLOCK_BYTES && (block + 1) * BLOCK_BYTES <= offset + length)
    assert.ok(blocks.filter((_, at) => at % 97 === 0).every(isIn))
    assert.ok(ranges.every(({ offset }, at) => at === 0 || offset > (ranges[at - 1]?.offset ?? 0)))
  })

  it('can be kept, with what tells that a file is the same', async () => {
    const path = join(folder, 'kept')
    const stamp = { inode: 2n ** 63n + 5n, modifiedNs: 1_900_000_000_123_456_789n, size: BigInt(BLOCK_BYTES + 1) }
    const made = await BlockIndex.create(path, [
      { path: 'a.wt', size: BLOCK_BYTES + 1, stamp },
      { path: 'b.wt', size: 1 },
    ])
    const hashes = randomBytes(32)
    await made.write('a.wt', 0, hashes)
    await made.close()
    const read = await BlockIndex.open(path)
    assert.deepEqual(read.find('a.wt')?.stamp, stamp)
    assert.equal(read.find('b.wt')?.stamp, undefined)
    assert.deepEqual(await read.read('a.wt', 0, 100), hashes)
    assert.equal((await read.read('a.wt', 2, 1)).length, 0)
    await read.close()
    await truncate(path, (await stat(path)).size - 1)
    await assert.rejects(BlockIndex.open(path), { code: 'BACKUP_DAMAGED' })
    await writeFile(path, randomBytes(4000))
    await assert.rejects(BlockIndex.open(path), { code: 'BACKUP_DAMAGED' })
  })
})
