/** Folders of a name from the outermost on: `a/b/c` has `a` and `a/b`. */
export function foldersOf(name: string): string[] {
  const segments = name.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}

/** The folder of a name with a slash at its end, or nothing at the top. */
export function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/') + 1)
}
