/** Bech32 (BIP 173) as age has it: without the limit of 90 characters. */
const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]
const CHECKSUM_LENGTH = 6

/** The bytes behind a human-readable part, all in lower or all in upper case; undefined for what is none of its kind. */
export function decodeBech32(text: string, prefix: string): Buffer | undefined {
  const lower = text.toLowerCase()
  if (text !== lower && text !== text.toUpperCase()) return undefined
  if (!lower.startsWith(`${prefix}1`)) return undefined
  const values = [...lower.slice(prefix.length + 1)].map((character) => ALPHABET.indexOf(character))
  if (values.length < CHECKSUM_LENGTH || values.includes(-1)) return undefined
  if (polymod([...expand(prefix), ...values]) !== 1) return undefined
  return toBytes(values.slice(0, -CHECKSUM_LENGTH))
}

export function encodeBech32(bytes: Uint8Array, prefix: string): string {
  const values = toValues(bytes)
  const sum = polymod([...expand(prefix), ...values, ...new Array<number>(CHECKSUM_LENGTH).fill(0)]) ^ 1
  const checksum = Array.from({ length: CHECKSUM_LENGTH }, (_, index) => (sum >>> (5 * (5 - index))) & 31)
  return `${prefix}1${[...values, ...checksum].map((value) => ALPHABET[value]).join('')}`
}

function polymod(values: readonly number[]): number {
  let sum = 1
  for (const value of values) {
    const top = sum >>> 25
    sum = ((sum & 0x1ffffff) << 5) ^ value
    for (const [bit, factor] of GENERATOR.entries()) if (((top >>> bit) & 1) === 1) sum ^= factor
  }
  return sum >>> 0
}

function expand(prefix: string): number[] {
  const codes = [...Buffer.from(prefix, 'latin1')]
  return [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)]
}

function toValues(bytes: Uint8Array): number[] {
  const values: number[] = []
  let [held, bits] = [0, 0]
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; ) {
      bits -= 5
      values.push((held >>> bits) & 31)
    }
  }
  if (bits > 0) values.push((held << (5 - bits)) & 31)
  return values
}

/** undefined where the last value has bits that belong to no byte. */
function toBytes(values: readonly number[]): Buffer | undefined {
  const bytes: number[] = []
  let [held, bits] = [0, 0]
  for (const value of values) {
    held = ((held << 5) | value) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push((held >>> bits) & 0xff)
  }
  return bits >= 5 || (held & ((1 << bits) - 1)) !== 0 ? undefined : Buffer.from(bytes)
}
