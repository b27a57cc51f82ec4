import { choiceOf, duration, type EntryFault, entryName, listOf, section, shortText } from './nodes.js'
import { templateFault } from './notice-template.js'
import { twice } from './schedules.js'
import { isRecord } from './values.js'

/** What somebody can be told of. */
export const NOTICE_EVENTS = ['failed', 'succeeded', 'late', 'gap', 'damaged', 'agentLost'] as const
export type NoticeEvent = (typeof NOTICE_EVENTS)[number]

/** A secret by where the agent finds it, never itself: one of the two. */
export interface SecretReference {
  /** A file of the agent's host. */
  file?: string
  /** A variable of the agent's environment. */
  env?: string
}

export interface WebhookConfig {
  url?: string
  /** Where the address itself is a secret. */
  urlFrom?: SecretReference
  headers?: Record<string, string>
  headersFrom?: Record<string, SecretReference>
  /** With `{{field}}`; the notice as JSON when absent. */
  template?: string
}

export interface EmailConfig {
  from: string
  to: string[]
  smtp: {
    host: string
    /** 587, and 465 with `tls: implicit`. */
    port?: number
    /** `starttls` when absent. */
    tls?: 'starttls' | 'implicit' | 'none'
    user?: string
    passwordFrom?: SecretReference
  }
}

export interface NotificationConfig {
  /** Unique. */
  name: string
  on: NoticeEvent[]
  /** For `late`: how old the newest good backup may be, such as `26h`. */
  expect?: string
  webhook?: WebhookConfig
  email?: EmailConfig
}

/** Which variables and files may be named: with others, who writes the configuration could have any secret sent out. */
const SECRET_ENV = '^PBM_NOTIFY_[A-Z0-9_]{1,100}$'
const SECRET_FILE = '^/(?:[^/]+/)*notify[^/]*$'

const secret = {
  ...section({
    file: {
      type: 'string',
      maxLength: 1_000,
      pattern: SECRET_FILE,
      localFile: true,
      description: 'the absolute path of a file whose name begins with notify',
    },
    env: { type: 'string', pattern: SECRET_ENV, description: 'a variable whose name begins with PBM_NOTIFY_' },
  }),
  minProperties: 1,
  maxProperties: 1,
}
const headerValue = {
  type: 'string',
  maxLength: 1_000,
  pattern: '^[\\x20-\\x7e]*$',
  description: 'one line of printable ASCII',
} as const
const headerNames = { pattern: '^[A-Za-z0-9-]{1,100}$' } as const
const address = {
  type: 'string',
  maxLength: 320,
  pattern: '^(?:[^<>\\x00-\\x1f\\x7f,;]*<)?[^\\s<>@,;\\x00-\\x1f]+@[^\\s<>@,;\\x00-\\x1f]+>?$',
  description: 'an address: ops@example.net, or Name <ops@example.net>',
} as const
const host = { type: 'string', maxLength: 253, pattern: '^[A-Za-z0-9.:_-]+$', description: 'a host' } as const

/** Of one of them. */
export const NOTIFICATION_SCHEMA = section(
  {
    name: entryName,
    on: { ...listOf(choiceOf(NOTICE_EVENTS), NOTICE_EVENTS.length, 1), uniqueItems: true },
    expect: duration,
    webhook: section({
      url: shortText,
      urlFrom: secret,
      headers: { type: 'object', maxProperties: 20, propertyNames: headerNames, additionalProperties: headerValue },
      headersFrom: { type: 'object', maxProperties: 20, propertyNames: headerNames, additionalProperties: secret },
      template: { type: 'string', maxLength: 8_000 },
    }),
    email: section(
      {
        from: address,
        to: listOf(address, 20, 1),
        smtp: section(
          {
            host,
            port: { type: 'integer', minimum: 1, maximum: 65_535 },
            tls: choiceOf(['starttls', 'implicit', 'none']),
            user: shortText,
            passwordFrom: secret,
          },
          ['host'],
        ),
      },
      ['from', 'to', 'smtp'],
    ),
  },
  ['name', 'on'],
)

/** Of the section `notifications`. */
export const NOTIFICATIONS_SCHEMA = listOf(NOTIFICATION_SCHEMA, 20)

/** Headers that hold secrets, and those that belong to the request itself. */
const SECRET_HEADERS = /auth|cookie|token|secret|api-?key|password/i
const OWN_HEADERS = /^(?:host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect)$/i

/** Whether what is sent is JSON: unless `headers` say otherwise. */
export function isJsonWebhook({ headers = {} }: Pick<WebhookConfig, 'headers'>): boolean {
  const type = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  return type === undefined || /[/+]json\b/i.test(type)
}

/** What the schema can't say; `value` may be anything. */
export function notificationFaults(value: unknown): EntryFault[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((notification: unknown, index) => {
    if (!isRecord(notification)) return []
    const found = [...twice(value, index).map((text) => ({ key: 'name', text })), ...faultsOf(notification)]
    return found.map(({ key, text }) => ({
      path: ['notifications', String(index), ...key.split('.')],
      text,
      unknownKey: false as const,
    }))
  })
}

function faultsOf({ on, expect, webhook, email }: Record<string, unknown>): { key: string; text: string }[] {
  const isLate = Array.isArray(on) && on.includes('late')
  const faults: { key: string; text: string }[] = []
  if (isLate && expect === undefined)
    faults.push({
      key: 'expect',
      text: 'is missing; on: late needs how old the newest good backup may be, such as 26h',
    })
  if (!isLate && expect !== undefined) faults.push({ key: 'expect', text: 'goes only with on: late' })
  if (webhook === undefined && email === undefined)
    faults.push({ key: 'webhook', text: 'is missing; say webhook, email or both' })
  if (isRecord(webhook)) faults.push(...webhookFaults(webhook))
  if (isRecord(email) && isRecord(email.smtp)) faults.push(...smtpFaults(email.smtp))
  return faults
}

function webhookFaults({ url, urlFrom, headers, headersFrom, template }: Record<string, unknown>) {
  const faults: { key: string; text: string }[] = []
  if ((url === undefined) === (urlFrom === undefined))
    faults.push({ key: 'webhook.url', text: 'say one of url and urlFrom' })
  if (typeof url === 'string') {
    const text = urlFault(url)
    if (text !== undefined) faults.push({ key: 'webhook.url', text })
  }
  const plain = isRecord(headers) ? Object.keys(headers) : []
  const named = isRecord(headersFrom) ? Object.keys(headersFrom) : []
  for (const name of [...plain, ...named])
    if (OWN_HEADERS.test(name)) faults.push({ key: 'webhook.headers', text: `${name} can't be set` })
  for (const name of plain)
    if (SECRET_HEADERS.test(name))
      faults.push({ key: 'webhook.headers', text: `${name} holds a secret: name its place in headersFrom` })
  if (typeof template === 'string') {
    const typed = Object.fromEntries(
      Object.entries(isRecord(headers) ? headers : {}).flatMap(([key, value]) =>
        typeof value === 'string' ? [[key, value]] : [],
      ),
    )
    const text = templateFault(template, isJsonWebhook({ headers: typed }))
    if (text !== undefined) faults.push({ key: 'webhook.template', text })
  }
  return faults
}

/** What is wrong with an address to send to; never a part of it. */
export function urlFault(url: string): string | undefined {
  const parsed = URL.parse(url)
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return 'must be an http or https address'
  return parsed.username !== '' || parsed.password !== ''
    ? 'must have no user and password; name the place of an Authorization in headersFrom'
    : undefined
}

function smtpFaults({ user, passwordFrom, tls }: Record<string, unknown>) {
  const faults: { key: string; text: string }[] = []
  if ((user === undefined) !== (passwordFrom === undefined))
    faults.push({ key: 'email.smtp.user', text: 'user and passwordFrom go together' })
  if (passwordFrom !== undefined && tls === 'none')
    faults.push({ key: 'email.smtp.tls', text: 'none would send the password readable for everybody' })
  return faults
}
