const MIB = 1024 * 1024

/** S3's own limits. */
export const MIN_PART_BYTES = 5 * MIB
const MAX_PARTS = 10_000
const DEFAULT_PART_BYTES = 10 * MIB

/** How much of one upload may be in memory, beside the part being gathered, as long as parts are this small. */
const IN_FLIGHT_BYTES = 30 * MIB
const MOST_IN_FLIGHT = 4

export interface PartPlan {
  readonly maxParts: number
  /** Bytes of a part, counted from 0. */
  size(part: number): number
  /** How many parts of this size are sent at once. */
  width(partBytes: number): number
}

/**
 * The sizes of an upload's parts.
 *
 * Where the size can be guessed, all parts are equal: as configured, or 1.5 times what the guess needs (PBM:
 * cli-and-config.md §3.2). A body may be far longer than guessed, so the second half of the parts grows, by half every
 * twentieth of them: at the defaults 48 GiB come in equal parts (which R2 wants), and about 900 GiB fit at all.
 */
export function partPlan(
  options: { readonly uploadPartSize?: number; readonly maxUploadParts?: number },
  sizeHint: number | undefined,
): PartPlan {
  const { uploadPartSize = 0, maxUploadParts = 0 } = options
  const maxParts = maxUploadParts > 0 ? Math.min(maxUploadParts, MAX_PARTS) : MAX_PARTS
  const configured = uploadPartSize > 0 ? Math.max(uploadPartSize, MIN_PART_BYTES) : DEFAULT_PART_BYTES
  // A hint beyond what S3 can keep is no guess.
  const hint = sizeHint !== undefined && sizeHint > 0 && sizeHint <= 8 * 1024 ** 4 ? sizeHint : 0
  const base = Math.max(configured, Math.floor((Math.floor(hint / maxParts) * 15) / 10))
  const equal = Math.ceil(maxParts / 2)
  const step = Math.max(1, Math.floor(maxParts / 20))
  return {
    maxParts,
    size: (part) => (part < equal ? base : Math.ceil(base * 1.5 ** (1 + Math.floor((part - equal) / step)))),
    width: (partBytes) => Math.min(MOST_IN_FLIGHT, Math.max(1, Math.floor(IN_FLIGHT_BYTES / partBytes))),
  }
}
