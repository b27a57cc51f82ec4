/** Gives what `work` gives, or rejects with `late` once it has taken `millis`; the work itself goes on then, unheeded. */
export async function inTime<T>(work: Promise<T>, millis: number, late: () => Error): Promise<T> {
  const ended = Promise.withResolvers<never>()
  const timer = setTimeout(() => ended.reject(late()), millis)
  try {
    return await Promise.race([work, ended.promise])
  } finally {
    clearTimeout(timer)
  }
}
