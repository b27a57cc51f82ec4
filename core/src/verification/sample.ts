import { createHash } from 'node:crypto'

/** Whether an object is one of those that are read. */
export type Sample = (object: string) => boolean

/**
 * A part of all objects, the same for the same seed: each is in it or not, whatever else there is. Another seed takes others, so
 * that runs of 10 % get round.
 *
 * @param percent 0 to 100
 */
export function sampleOf(percent: number, seed: string): Sample {
  if (percent >= 100) return () => true
  const limit = (percent / 100) * 2 ** 32
  return (object) => createHash('sha256').update(`${seed}\0${object}`).digest().readUInt32LE(0) < limit
}
