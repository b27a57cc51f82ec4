import { PbmError } from '../../errors.js'

export const GIBIBYTE = 1024 ** 3
/** Of operations in transactions that are open at once: a server lets one run for a minute. `restore.openTransactionsGB`. */
export const OPEN_TRANSACTIONS_BYTES = 16 * GIBIBYTE
/** At once; each is known by its name in memory until it ends. */
export const OPEN_TRANSACTIONS = 100_000

/** Throws `OPLOG_TRANSACTIONS`: what an oplog begins and never ends would fill the disk of temporary files, or the memory. */
export function refuseOpen(
  open: { readonly count: number; readonly bytes: number },
  mostBytes = OPEN_TRANSACTIONS_BYTES,
): void {
  if (open.count <= OPEN_TRANSACTIONS && open.bytes <= mostBytes) return
  const what =
    open.count > OPEN_TRANSACTIONS
      ? `more than ${OPEN_TRANSACTIONS} transactions`
      : `transactions of more than ${(mostBytes / GIBIBYTE).toFixed(1)} GB`
  throw new PbmError('OPLOG_TRANSACTIONS', `The oplog has ${what} open at once`, {
    hint: 'If the cluster had such transactions, set restore.openTransactionsGB: so much room is needed for temporary files',
  })
}

/** `restore.openTransactionsGB` in bytes; undefined for the default. */
export function openTransactionBytes(config: { readonly openTransactionsGB?: number } | undefined): number | undefined {
  return config?.openTransactionsGB ? config.openTransactionsGB * GIBIBYTE : undefined
}
