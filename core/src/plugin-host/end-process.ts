let ending = false

/**
 * `process.exit` for our own programs: what is still being loaded is not taken for who ended the process, and the exit code
 * stays.
 */
export function endProcess(code: number): never {
  ending = true
  process.exit(code)
}

/** Whether {@link endProcess} was called. */
export function endsItself(): boolean {
  return ending
}
