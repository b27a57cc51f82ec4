import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { pipeThrough, toolOnPath } from './command-line-tool.js'
import { pack, sameBytes } from './compression-checks.js'
import { collect, inChunks, sample } from './compression-samples.js'
import { pbmObjects } from './pbm-objects.js'

/** A tool that compresses or decompresses from standard input to standard output. */
export interface Tool {
  readonly command: string
  readonly args: readonly string[]
}

export interface InteropOptions {
  readonly describe: (title: string, body: () => void) => unknown
  /** mocha's: a case whose tool is not on PATH says so in its title and skips itself. */
  readonly it: (title: string, body: (this: { skip(): void }) => Promise<void>) => unknown
  readonly plugin: CompressionPlugin
  /** Must read what the plugin writes, at every one of `levels`. */
  readonly decoders: readonly Tool[]
  /** Write what the plugin must read. */
  readonly encoders: readonly Tool[]
  /** The plugin's default when absent. */
  readonly levels?: readonly (number | undefined)[]
}

/** The plugin beside the method's own tools, and on objects that PBM wrote. */
export function compressionInterop(options: InteropOptions): void {
  const { describe, it, plugin } = options
  /** Larger than any block, with stretches of every kind. */
  const inputs = { 'one byte': sample('documents', 1), '10 MB': sample('mixed', 10_000_000) }

  describe(`${plugin.name} and other tools`, () => {
    for (const tool of options.decoders) {
      for (const level of options.levels ?? [undefined]) {
        const at = level === undefined ? '' : ` at level ${level}`
        toolCase(it, tool, `reads what the plugin writes${at}`, async (path) => {
          for (const [name, bytes] of Object.entries(inputs)) {
            sameBytes(await pipeThrough(path, tool.args, await pack(plugin, bytes, level)), bytes, name)
          }
        })
      }
    }
    for (const tool of options.encoders) {
      toolCase(it, tool, 'writes what the plugin reads', async (path) => {
        for (const [name, bytes] of Object.entries(inputs)) {
          const packed = await pipeThrough(path, tool.args, bytes)
          sameBytes(await collect(plugin.decompress(inChunks(packed, 100_003))), bytes, name)
        }
      })
    }
    pbmCases(it, plugin)
  })
}

function toolCase(it: InteropOptions['it'], tool: Tool, title: string, body: (path: string) => Promise<void>): void {
  const path = toolOnPath(tool.command)
  const why = path === undefined ? ` (skipped: no ${tool.command} on PATH)` : ''
  it(`${[tool.command, ...tool.args].join(' ')} ${title}${why}`, async function () {
    if (path === undefined) this.skip()
    else await body(path)
  })
}

function pbmCases(it: InteropOptions['it'], plugin: CompressionPlugin): void {
  const objects = pbmObjects(plugin.suffix)
  const why =
    objects.length === 0 ? " (skipped: PBM's backups are not at hand; PBMKIT_FIXTURES names their folder)" : ''
  it(`the plugin reads every object of PBM's own backup${why}`, async function () {
    if (objects.length === 0) return this.skip()
    let compared = 0
    for (const { name, path, size, plainPath } of objects) {
      const bytes = await collect(plugin.decompress(inChunks(readFileSync(path), 1000)))
      if (size !== undefined) assert.equal(bytes.length, size, name)
      if (plainPath === undefined) continue
      sameBytes(bytes, readFileSync(plainPath), name)
      compared++
    }
    assert.ok(compared >= 6, `only ${compared} objects could be compared with the uncompressed backup`)
  })
}
