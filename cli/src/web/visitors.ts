import { type Clock, errorText, maskText, PbmError, uriForUser } from '@pbmkit/core'
import { codeOf } from '../errors.js'
import type { Session } from '../session.js'
import { isSameSecret, secret } from './access.js'
import { Live } from './live.js'

/** Without a request of a person for as long, a session that was logged in ends. What comes by itself does not count. */
const IDLE_MS = 30 * 60_000
/** More people at one page are not expected; each has a connection of their own. */
const MOST_VISITORS = 50
/** Of failed log-ins from one address a minute; MongoDB itself has no such limit. */
const MOST_FAILURES = 10
const FAILURES_MS = 60_000

/** Somebody who may look: over whose connection, and what is read for them. */
export interface Visitor {
  readonly session: Session
  readonly live: Live
  readonly user?: string
  /** Aborted when the session ends. */
  readonly ended: AbortSignal
}

interface Known extends Visitor {
  readonly end: AbortController
  lastSeen: number
}

/** Who is let in, by the secret in their cookie. */
export interface Visitors {
  /** Undefined where a log-in is needed. Counts as a sign of life where a person asked. */
  find(cookie: string | undefined, isPerson: boolean): Visitor | undefined
  /** Ends one session, as at a log-out. */
  leave(cookie: string | undefined): Promise<void>
  close(): Promise<void>
}

/** On loopback: who has the URL's token is the user of the command line. All share its connection and one round of queries. */
export class TokenVisitors implements Visitors {
  readonly token = secret()
  readonly #cookie = secret()
  readonly #end = new AbortController()
  readonly #visitor: Visitor

  constructor(session: Session) {
    const live = new Live(session)
    this.#visitor = { session, live, ended: this.#end.signal }
    live.prepare()
  }

  /** The secret for the cookie of who came with the token. */
  enter(token: string): string | undefined {
    return isSameSecret(token, this.token) ? this.#cookie : undefined
  }

  find(cookie: string | undefined): Visitor | undefined {
    return cookie !== undefined && isSameSecret(cookie, this.#cookie) ? this.#visitor : undefined
  }

  async leave(): Promise<void> {
    // The token lets in as long as the command runs.
  }

  async close(): Promise<void> {
    this.#visitor.live.close()
    this.#end.abort()
  }
}

/** For teams: who logs in as a user of the database has a connection as that user, whose roles decide on all that follows. */
export class UserVisitors implements Visitors {
  readonly #session: Session
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()
  readonly #failures = new Map<string, { count: number; until: number }>()
  #entering = 0

  /** `session` says where the database is; nothing is done as its user. */
  constructor(session: Session, clock: Clock = session.clock) {
    this.#session = session
    this.#clock = clock
  }

  /**
   * The secret for the cookie of who logged in. `from`: the address, for the limit. Rejects with WEB_LOGIN for a wrong
   * password, WEB_LOGINS beyond the limits, WEB_DATABASE, and UNAUTHORIZED for a user without a role for it.
   */
  async enter(user: string, password: string, from: string): Promise<string> {
    await this.endIdle()
    this.#refuseTooMany(from)
    if (user === '' || password === '') throw new PbmError('WEB_LOGIN', 'a user and a password are needed')
    this.#entering += 1
    const session = this.#session.elsewhere(uriForUser(await this.#session.uri(), user, password))
    try {
      await session.leader()
    } catch (error) {
      await session.close()
      throw this.#refusal(error, from)
    } finally {
      this.#entering -= 1
    }
    const cookie = secret()
    const end = new AbortController()
    const visitor = { session, live: new Live(session), user, ended: end.signal, end, lastSeen: this.#clock.now() }
    this.#known.set(cookie, visitor)
    return cookie
  }

  find(cookie: string | undefined, isPerson: boolean): Visitor | undefined {
    const visitor = cookie === undefined ? undefined : this.#known.get(cookie)
    if (visitor === undefined || this.#isIdle(visitor)) return undefined
    if (isPerson) visitor.lastSeen = this.#clock.now()
    return visitor
  }

  async leave(cookie: string | undefined): Promise<void> {
    const visitor = cookie === undefined ? undefined : this.#known.get(cookie)
    if (cookie === undefined || visitor === undefined) return
    this.#known.delete(cookie)
    visitor.end.abort()
    visitor.live.close()
    await visitor.session.close()
  }

  /** Closes the connections of those who are away. */
  async endIdle(): Promise<void> {
    const idle = [...this.#known].filter(([, visitor]) => this.#isIdle(visitor))
    await Promise.all(idle.map(([cookie]) => this.leave(cookie)))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#known.keys()].map((cookie) => this.leave(cookie)))
  }

  /** Where the database is, and how it is, is no matter of who has not logged in. */
  #refusal(error: unknown, from: string): unknown {
    const code = codeOf(error)
    if (code === 'AUTHENTICATION') {
      this.#countFailure(from)
      return new PbmError('WEB_LOGIN', 'the user or the password is wrong')
    }
    // Known to the database, and without a right to its control collections.
    if (code === 'UNAUTHORIZED') return error
    this.#session.output.warn(`a log-in failed: ${maskText(errorText(error))}`)
    return new PbmError('WEB_DATABASE', 'the database can not be reached', { hint: 'What pbm web prints says more.' })
  }

  #isIdle({ lastSeen }: Known): boolean {
    return this.#clock.now() - lastSeen >= IDLE_MS
  }

  #refuseTooMany(from: string): void {
    const now = this.#clock.now()
    for (const [address, { until }] of this.#failures) if (until <= now) this.#failures.delete(address)
    if ((this.#failures.get(from)?.count ?? 0) >= MOST_FAILURES)
      throw new PbmError('WEB_LOGINS', 'too many failed log-ins', { hint: 'Try again in a minute.' })
    if (this.#known.size + this.#entering >= MOST_VISITORS)
      throw new PbmError('WEB_LOGINS', `${MOST_VISITORS} people are logged in, and more are not let in`, {
        hint: 'Somebody who is done has to log out; who is away for 30 minutes is logged out.',
      })
  }

  #countFailure(from: string): void {
    const known = this.#failures.get(from)
    if (known === undefined) this.#failures.set(from, { count: 1, until: this.#clock.now() + FAILURES_MS })
    else known.count += 1
  }
}
