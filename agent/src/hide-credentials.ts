/**
 * Takes the command line out of `ps` and /proc: it may hold the URI with its password. Setting the title overwrites the
 * memory in which the system keeps it. Between the start and this call it can be seen; the environment or a file never can.
 */
export function hideCommandLine(): void {
  process.title = 'pbm-agent'
}
