/** What a rotation came to, over all storages. */
export interface RotationResult {
  /** Key objects. */
  readonly keys: number
  readonly rewrapped: number
  /** Had the new key before. */
  readonly current: number
  readonly unreadable: number
  /** The key that they are sealed with now. */
  readonly keyId: string
  readonly dryRun: boolean
}

/** The line of the log by which a waiting CLI learns the result: agents and CLI share nothing but the control collections. */
export function rotationText({ keys, rewrapped, current, unreadable, keyId, dryRun }: RotationResult): string {
  const would = dryRun ? ' (dry run)' : ''
  return `rotated to key ${keyId}: ${keys} key objects, ${rewrapped} rewrapped, ${current} as they were, ${unreadable} unreadable${would}`
}

/** The reverse; undefined for any other line. */
export function parseRotationText(text: string): RotationResult | undefined {
  const match =
    /^rotated to key (\S+): (\d+) key objects, (\d+) rewrapped, (\d+) as they were, (\d+) unreadable( \(dry run\))?$/.exec(
      text,
    )
  if (match === null) return undefined
  const [, keyId = '', keys, rewrapped, current, unreadable, dry] = match
  return {
    ...{ keys: Number(keys), rewrapped: Number(rewrapped), current: Number(current), unreadable: Number(unreadable) },
    keyId,
    dryRun: dry !== undefined,
  }
}
