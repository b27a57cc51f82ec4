import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Client } from 'ssh2'
import { type PacketCipher, reusePacketMemory } from './packet-memory.js'

/** What ssh2 keeps to itself: the keys with which it makes a new AES-GCM cipher for every packet. */
interface Internals {
  readonly _protocol?: {
    readonly _cipher?: Partial<PacketCipher> & { _encKey?: Buffer | KeyObject }
    readonly _decipher?: { _decipherKey?: Buffer | KeyObject }
  }
}

/**
 * Lets Node.js prepare the keys of a connection once and not for every packet, which takes longer than to encrypt it. Keys
 * that are agreed on later, and other ciphers, work as before. Whether the server's side is of AES-GCM, which ssh2
 * decrypts into memory of its own.
 */
export function prepareKeys(client: Client): boolean {
  const { _cipher: cipher, _decipher: decipher } = (client as unknown as Internals)._protocol ?? {}
  if (Buffer.isBuffer(cipher?._encKey)) {
    cipher._encKey = createSecretKey(cipher._encKey)
    if (isPacketCipher(cipher)) reusePacketMemory(cipher)
  }
  if (!Buffer.isBuffer(decipher?._decipherKey)) return false
  decipher._decipherKey = createSecretKey(decipher._decipherKey)
  return decipher.constructor.name === 'AESGCMDecipherNative'
}

function isPacketCipher(cipher: Partial<PacketCipher>): cipher is PacketCipher {
  const { allocPacket, _onWrite } = cipher
  const known = cipher.constructor.name === 'AESGCMCipherNative'
  return known && typeof allocPacket === 'function' && typeof _onWrite === 'function'
}
