import { createRequire } from 'node:module'
import { BSON } from 'bson'
import { arrayElement, type RawElement } from '../bson/build.js'
import { BSON_ARRAY, BSON_DOCUMENT } from '../bson/elements.js'

/**
 * A value of a command that is BSON already and is sent byte for byte. A plain JavaScript object can't take its place:
 * it reorders integer-like keys and has no room for some types (undefined, DBPointer).
 */
export class RawValue {
  private constructor(
    readonly type: number,
    readonly bytes: Uint8Array,
  ) {}

  /** One BSON document. */
  static document(bytes: Uint8Array): RawValue {
    return new RawValue(BSON_DOCUMENT, bytes)
  }

  /** A value of any BSON type, as {@link RawElement} has it. */
  static element({ type, value }: RawElement): RawValue {
    return new RawValue(type, value)
  }

  /** An array of BSON documents. */
  static documents(documents: readonly Uint8Array[]): RawValue {
    return new RawValue(BSON_ARRAY, arrayElement('', documents).value)
  }
}

interface CommandMessage {
  serializeBson(command: Record<string, unknown>): Uint8Array
}

/**
 * The driver has no public way to put raw BSON inside a command (a document sequence reaches only the commands that
 * take one; applyOps and createIndexes don't), so the serializer of its message class learns {@link RawValue}. Commands
 * without one go the driver's own way, untouched. An incompatible driver is found at start, not in mid-restore.
 */
function teachDriver(): void {
  const { OpMsgRequest } = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as {
    OpMsgRequest: { prototype: CommandMessage }
  }
  const { prototype } = OpMsgRequest
  const own = prototype.serializeBson
  if (typeof own !== 'function') throw new Error('This version of the mongodb driver is not supported')
  prototype.serializeBson = function serializeBson(command) {
    const raw = Object.values(command).some((value) => value instanceof RawValue)
    return raw ? serializeCommand(command) : own.call(this, command)
  }
}

function serializeCommand(command: Record<string, unknown>): Buffer {
  const parts: Uint8Array[] = [Buffer.alloc(4)]
  for (const [key, value] of Object.entries(command)) {
    if (value instanceof RawValue) {
      parts.push(Buffer.of(value.type), Buffer.from(`${key}\0`), value.bytes)
    } else if (value !== undefined) {
      // The one element, without the length before it and the zero after it.
      parts.push(BSON.serialize({ [key]: value }, { ignoreUndefined: true }).subarray(4, -1))
    }
  }
  parts.push(Buffer.alloc(1))
  const bytes = Buffer.concat(parts)
  bytes.writeInt32LE(bytes.length, 0)
  return bytes
}

teachDriver()
