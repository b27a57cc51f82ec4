import { randomFillSync } from 'node:crypto'

/** Of ssh2's AES-GCM, what it takes to give it memory for packets. */
export interface PacketCipher {
  /** Memory of a packet: its length, that of the padding, room for the payload, random padding. */
  allocPacket(payloadBytes: number): Buffer
  /** Sends bytes that must not change any more. */
  _onWrite(bytes: Uint8Array): void
}

/** A block of AES; a packet is padded to a multiple, by four bytes at the least (RFC 4253 §6, RFC 5647 §7.2). */
const BLOCK_BYTES = 16
const LEAST_PADDING_BYTES = 4
const PREFIX_BYTES = 5
const LARGE_BYTES = 4096
const NOISE_BYTES = 8192

/**
 * Has all large packets made in the same memory, one after the other: each is encrypted, into memory of its own, before
 * the next is begun. To touch new memory costs as much as to encrypt what is put there.
 */
export function reusePacketMemory(cipher: PacketCipher): void {
  const allocate = cipher.allocPacket.bind(cipher)
  const write = cipher._onWrite.bind(cipher)
  const noise = Buffer.allocUnsafeSlow(NOISE_BYTES)
  let taken = NOISE_BYTES
  let memory = Buffer.alloc(0)
  cipher.allocPacket = (payloadBytes) => {
    if (payloadBytes < LARGE_BYTES) return allocate(payloadBytes)
    const rest = BLOCK_BYTES - ((1 + payloadBytes) % BLOCK_BYTES)
    const padding = rest < LEAST_PADDING_BYTES ? rest + BLOCK_BYTES : rest
    const length = PREFIX_BYTES + payloadBytes + padding
    if (memory.length < length) memory = Buffer.allocUnsafeSlow(length)
    if (taken + padding > NOISE_BYTES) {
      randomFillSync(noise)
      taken = 0
    }
    const packet = memory.subarray(0, length)
    packet.writeUInt32BE(length - 4, 0)
    packet[4] = padding
    noise.copy(packet, PREFIX_BYTES + payloadBytes, taken, taken + padding)
    taken += padding
    return packet
  }
  // The length is sent in the clear, from the packet itself.
  cipher._onWrite = (bytes) => write(bytes.buffer === memory.buffer ? Buffer.from(bytes) : bytes)
}
