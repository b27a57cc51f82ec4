import { createHash } from 'node:crypto'
import { type EmailConfig, mailTexts, type NoticeFields, PbmError, type PluginHost } from '@pbmkit/core'
import { requireAllowed } from './allowed-hosts.js'
import { readSecret } from './secret.js'
import { SEND_MS } from './webhook.js'

/** Of the library as far as it is used. */
interface Mailer {
  createTransport(options: object): { sendMail(mail: object): Promise<unknown>; close(): void }
}

export interface EmailOptions {
  readonly allowed: readonly string[]
  /** Finds the library, as it finds plugins. */
  readonly host: Pick<PluginHost, 'module'>
  /** Of the notice, the same each time that it is sent. */
  readonly id: string
}

/** Sends a notice. Rejects with NOTIFY_NOT_ALLOWED, NOTIFY_SECRET, NOTIFY_FAILED, PLUGIN_MISSING. */
export async function sendEmail(email: EmailConfig, fields: NoticeFields, options: EmailOptions): Promise<void> {
  const { from, to, smtp } = email
  const { host, tls = 'starttls', user, passwordFrom } = smtp
  const port = smtp.port ?? (tls === 'implicit' ? 465 : 587)
  requireAllowed({ protocol: 'smtp:', host: host.toLowerCase(), port }, options.allowed)
  const pass = passwordFrom === undefined ? undefined : await readSecret(passwordFrom, 'email.smtp.passwordFrom')
  const mailer = await loadMailer(options.host)
  const transport = mailer.createTransport({
    ...{ host, port, secure: tls === 'implicit', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none' },
    ...(user !== undefined && pass !== undefined && { auth: { user, pass } }),
    ...{ connectionTimeout: SEND_MS, greetingTimeout: SEND_MS, socketTimeout: SEND_MS },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  })
  const digest = createHash('sha256').update(`${options.id} ${to.join()}`).digest('hex').slice(0, 32)
  try {
    await transport.sendMail({ from, to, messageId: `<${digest}@pbmkit>`, ...mailTexts(fields) })
  } catch (cause) {
    throw new PbmError('NOTIFY_FAILED', `the mail server ${host}:${port} did not take it`, { cause })
  } finally {
    transport.close()
  }
}

async function loadMailer(host: Pick<PluginHost, 'module'>): Promise<Mailer> {
  const loaded = await host.module('nodemailer')
  const mailer = (loaded as { default?: unknown } | undefined)?.default
  if (isMailer(mailer)) return mailer
  throw new PbmError('NOTIFY_FAILED', 'the nodemailer that is installed here can send no mail')
}

function isMailer(value: unknown): value is Mailer {
  return typeof value === 'object' && value !== null && 'createTransport' in value
}
