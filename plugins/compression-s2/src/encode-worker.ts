import { move } from 'piscina'
import { encodeBlock } from './encode-block.js'

export interface EncodeTask {
  readonly block: Uint8Array
  readonly depth: number
}

/** What a worker thread does. */
export default function encode({ block, depth }: EncodeTask): unknown {
  return move(encodeBlock(block, depth))
}
