/**
 * What the page can have done, and the command line that does it. The page shows the line, and the server runs the very same:
 * there is no second way to act.
 */

export interface BackupChoice {
  readonly do: 'backup'
  readonly type: 'logical' | 'physical'
  /** `db.collection` or `db.*`, several with commas; left out for all. */
  readonly ns?: string
  readonly profile?: string
  readonly compression?: string
}

export interface CancelChoice {
  readonly do: 'cancel'
}

export interface ScheduleChoice {
  readonly do: 'schedule'
  readonly action: 'run' | 'pause' | 'resume'
  readonly name: string
}

/** Begun, and not waited for: the page is told how far it is. */
export interface VerifyChoice {
  readonly do: 'verify'
  readonly backup: string
}

export interface RestoreChoice {
  readonly do: 'restore'
  /** A backup, or a time, `2031-02-03T04:05:06` (UTC). */
  readonly backup?: string
  readonly time?: string
  /** With a time: the backup to start from. */
  readonly base?: string
  readonly ns?: string
  readonly keepExisting?: boolean
  readonly withoutUsersAndRoles?: boolean
}

export type Choice = BackupChoice | CancelChoice | ScheduleChoice | VerifyChoice | RestoreChoice

/** The words after `pbm`. Values stand behind `=` or `--`, so that none is taken for an option, whatever it begins with. */
export function wordsOf(choice: Choice): string[] {
  switch (choice.do) {
    case 'backup':
      return [
        'backup',
        ...(choice.type === 'physical' ? ['--type=physical'] : []),
        ...valued('--ns', choice.ns),
        ...valued('--profile', choice.profile),
        ...valued('--compression', choice.compression),
      ]
    case 'cancel':
      return ['cancel-backup']
    case 'schedule':
      return ['schedule', choice.action, ...named(choice.name)]
    case 'verify':
      return ['verify', '--no-wait', ...named(choice.backup)]
    case 'restore':
      return [
        'restore',
        ...valued('--time', choice.time),
        ...valued('--base-snapshot', choice.base),
        ...valued('--ns', choice.ns),
        ...(choice.keepExisting === true ? ['--keep-existing'] : []),
        ...(choice.withoutUsersAndRoles === true ? ['--without-users-and-roles'] : []),
        ...named(choice.backup),
      ]
  }
}

/** Words of a look at something by its name. */
export function named(name: string | undefined): string[] {
  if (name === undefined) return []
  return name.startsWith('-') ? ['--', name] : [name]
}

function valued(option: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${option}=${value}`]
}

/** As it is typed into a shell: `pbm restore --time=2031-02-03T04:05:06`. */
export function shellLine(words: readonly string[]): string {
  return ['pbm', ...words.map(quoted)].join(' ')
}

/** What a terminal or a page would not show as it is: controls, ends of lines, marks that turn text. */
export const UNSEEN = /\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (UNSEEN.test(word)) return `$'${[...word].map(escaped).join('')}'`
  return `'${word.replaceAll("'", "'\\''")}'`
}

function escaped(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`
  if (!UNSEEN.test(character)) return character
  return [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
