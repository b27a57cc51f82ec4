import {
  checkLocalAccess,
  type LocalAccess,
  NOTIFICATION_SCHEMA,
  noticeFields,
  type PluginHost,
  type SendNotice,
} from '@pbmkit/core'
import { sendEmail } from './email.js'
import { sendWebhook } from './webhook.js'

export interface SendOptions {
  /** Name of the leader replica set. */
  readonly cluster: string
  readonly localAccess: LocalAccess
  readonly allowed: readonly string[]
  /** Finds libraries. */
  readonly host: Pick<PluginHost, 'module'>
  readonly signal: AbortSignal
}

/** Sends notices from this agent, as far as its own settings allow. */
export function noticeSender({ cluster, localAccess, allowed, host, signal }: SendOptions): SendNotice {
  return async ({ notice, channel }, notification) => {
    await checkLocalAccess(notification, NOTIFICATION_SCHEMA, `notifications.${notification.name}`, localAccess)
    const fields = noticeFields(notice, cluster)
    const { webhook, email } = notification
    if (channel === 'webhook' && webhook !== undefined) await sendWebhook(webhook, fields, { allowed, signal })
    if (channel === 'email' && email !== undefined) await sendEmail(email, fields, { allowed, host, id: notice.id })
  }
}
