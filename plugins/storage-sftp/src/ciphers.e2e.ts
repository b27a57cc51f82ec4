import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { TestServer } from './sshd.support.js'

const MIB = 1024 ** 2
const BLOCKS = 48

/** Servers that encrypt in another way, or agree on other keys while a transfer is under way. */
const SERVERS: Readonly<Record<string, string[]>> = {
  'changes keys every 4 MiB of AES-GCM': ['RekeyLimit 4M', 'Ciphers aes128-gcm@openssh.com'],
  'changes keys every 4 MiB of AES-GCM with 256 bits': ['RekeyLimit 4M', 'Ciphers aes256-gcm@openssh.com'],
  'has AES-CTR only, and changes keys every 4 MiB': ['RekeyLimit 4M', 'Ciphers aes128-ctr'],
  'has ChaCha20 only': ['Ciphers chacha20-poly1305@openssh.com'],
}

describe('storage-sftp moves what it is given through a server that', () => {
  for (const [title, settings] of Object.entries(SERVERS)) {
    const server = new TestServer()

    it(title, async function () {
      await server.start(this, { settings })
      try {
        const store = await server.open(await server.folder())
        const blocks = Array.from({ length: BLOCKS }, () => randomBytes(MIB + 1))
        const expected = createHash('sha256')
        for (const block of blocks) expected.update(block)
        const { size } = await store.save('object', of(blocks))
        assert.equal(size, BLOCKS * (MIB + 1))
        const held: Uint8Array[] = []
        for await (const chunk of await store.read('object')) held.push(chunk)
        // Not before the end: memory that was handed out must not change.
        const read = createHash('sha256')
        for (const chunk of held) read.update(chunk)
        assert.equal(read.digest('hex'), expected.digest('hex'))
      } finally {
        await server.clear()
        await server.stop()
      }
    })
  }
})

async function* of(blocks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* blocks
}
