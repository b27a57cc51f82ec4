/** What Node.js and the system's libraries need, in upper case, as Windows has some of them in any. */
const NEEDED: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'LANGUAGE', 'TZ', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH'],
  ...['SYSTEMROOT', 'WINDIR', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA', 'PATHEXT', 'COMSPEC'],
])

/**
 * Named one by one, since the environment of an agent holds secrets under any name: the connection string, and those of
 * storages, which their vendors' libraries read there.
 */
export function neededEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isNeeded = (name: string) =>
    NEEDED.has(name.toUpperCase()) || name.startsWith('NODE_') || name.startsWith('LC_')
  return Object.fromEntries(Object.entries(env).filter(([name]) => isNeeded(name)))
}
