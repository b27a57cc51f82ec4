/** What the search for a start asks a member. All times are as `optime` has them. */
export interface OplogView {
  /** The newest write that a majority has. */
  lastWrite(): Promise<bigint>
  /** The first entry of the oldest transaction that is prepared or half written. */
  oldestOpen(): Promise<bigint | undefined>
  /** Of every transaction with a first entry before `since` and a later one at or after it, one entry before `since`. */
  across(since: bigint): Promise<readonly bigint[]>
  /** The entry of the same transaction before the one at `ts`; undefined for its first. */
  previous(ts: bigint): Promise<bigint | undefined>
}

/** Both inclusive. */
export interface OplogStart {
  /** The first entry to store. */
  readonly from: bigint
  /**
   * Everything before it is in a dump begun after the search. What is stored from before it is there for the
   * transactions that end later, and may have ends of transactions whose beginnings are not stored.
   */
  readonly start: bigint
}

/**
 * Where the oplog of a backup has to begin, so that replaying it onto a dump begun from now on is exact: the last write
 * of the majority, and before it the beginnings of all transactions that may end at it or later.
 *
 * Those are open at the look at them, or have ended before it; then their ends are in the oplog by now. They are not
 * looked for anew at the earlier entry: where transactions overlap without an end, each beginning lies in another one.
 */
export async function searchOplogStart(view: OplogView): Promise<OplogStart> {
  const start = await view.lastWrite()
  const open = await view.oldestOpen()
  let from = open !== undefined && open < start ? open : start
  for (const entry of await view.across(start)) {
    const first = await firstEntry(view, entry)
    if (first < from) from = first
  }
  return { from, start }
}

async function firstEntry(view: OplogView, ts: bigint): Promise<bigint> {
  let first = ts
  for (;;) {
    const previous = await view.previous(first)
    if (previous === undefined) return first
    first = previous
  }
}
