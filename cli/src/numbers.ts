import { usageError } from './errors.js'

/** A parser for commander that takes whole numbers from `least` up. Fails with USAGE. */
export function wholeNumber(option: string, least = 0): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw usageError(`${option}: '${text}' is not a whole number of at least ${least}`)
    return value
  }
}
