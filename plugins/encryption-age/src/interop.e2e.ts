import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeThrough, toolOnPath } from '@pbmkit/conformance'
import plugin from './index.js'
import { parseIdentities } from './x25519.js'

const age = toolOnPath('age')
const keygen = toolOnPath('age-keygen')
const why =
  age === undefined || keygen === undefined ? ' (skipped: no age and age-keygen on PATH; Debian has them as age)' : ''
const SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_000]

/** The plugin beside the tool itself, both ways. */
describe(`the plugin and the age tool${why}`, () => {
  let folder: string
  let identityFile: string
  let recipients: string[]

  before(async function () {
    if (age === undefined || keygen === undefined) return this.skip()
    folder = await mkdtemp(join(tmpdir(), 'pbmkit-age-'))
    const texts = [await pipeThrough(keygen, [], Buffer.alloc(0)), await pipeThrough(keygen, [], Buffer.alloc(0))]
    recipients = texts.map((text) => parseIdentities(text.toString(), 'a test')[0]?.recipient.text ?? '')
    identityFile = join(folder, 'second.key')
    await writeFile(identityFile, texts[1] ?? '', { mode: 0o600 })
  })
  after(() => rm(folder ?? join(tmpdir(), 'pbmkit-age-none'), { recursive: true, force: true }))

  const cipher = () =>
    plugin.open({ recipients, identityFile }, { signal: new AbortController().signal, warn: () => undefined })

  async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of source) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
  }

  for (const size of SIZES) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, at) => (at * 31 + (at >>> 8)) & 0xff))

    it(`age opens ${size} bytes that the plugin sealed for two recipients`, async () => {
      const sealed = await gathered((await cipher()).seal(chunksOf(bytes)))
      assert.ok(bytes.equals(await pipeThrough(age ?? '', ['-d', '-i', identityFile], sealed)))
    })

    it(`the plugin opens ${size} bytes that age sealed for two recipients`, async () => {
      const args = recipients.flatMap((recipient) => ['-r', recipient])
      const sealed = await pipeThrough(age ?? '', args, bytes)
      assert.ok(bytes.equals(await gathered((await cipher()).open(chunksOf(sealed)))))
    })
  }
})
