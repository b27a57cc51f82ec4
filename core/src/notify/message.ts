import { expandTemplate, type NoticeFields } from '../config/notice-template.js'
import { isJsonWebhook, type WebhookConfig } from '../config/notifications.js'
import type { Notice } from '../control/notice-state.js'
import { printable } from '../secrets/printable.js'
import { rfc3339 } from '../time/text.js'

/** What a template and a message are made of. `cluster`: the name of the leader replica set. */
export function noticeFields(notice: Notice, cluster: string): NoticeFields {
  const { event, state = '', subject, text, operation = '', name = '', error = '', at } = notice
  const time = rfc3339(at / 1000)
  const fields = { event, state, subject, text, cluster, operation, name, error, time }
  // Texts of errors may hold what others wrote.
  const shown = Object.entries(fields).map(([key, value]) => [key, printable(value)])
  return Object.fromEntries(shown) as NoticeFields
}

/** The body of a webhook. */
export function webhookBody(webhook: WebhookConfig, fields: NoticeFields): string {
  return webhook.template === undefined
    ? JSON.stringify(fields)
    : expandTemplate(webhook.template, fields, isJsonWebhook(webhook))
}

export function mailTexts(fields: NoticeFields): { subject: string; text: string } {
  const { cluster, subject, text, event, state, time } = fields
  const lines = [
    text,
    '',
    `cluster: ${cluster}`,
    `event: ${event}${state === '' ? '' : ` (${state})`}`,
    `time: ${time}`,
  ]
  return { subject: `[pbm ${cluster}] ${subject.replaceAll(/\s+/g, ' ')}`, text: `${lines.join('\n')}\n` }
}
