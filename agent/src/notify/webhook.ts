import { type NoticeFields, PbmError, urlFault, type WebhookConfig, webhookBody } from '@pbmkit/core'
import { requireAllowed, targetOf } from './allowed-hosts.js'
import { readSecret } from './secret.js'

/** Others wait meanwhile, and who takes longer may have it already: then it is sent again. */
export const SEND_MS = 15_000

/** Posts a notice. Rejects with NOTIFY_NOT_ALLOWED, NOTIFY_SECRET, NOTIFY_FAILED. */
export async function sendWebhook(
  webhook: WebhookConfig,
  fields: NoticeFields,
  { allowed, signal }: { readonly allowed: readonly string[]; readonly signal: AbortSignal },
): Promise<void> {
  const { url = '', urlFrom, headers = {}, headersFrom = {} } = webhook
  const address = urlFrom === undefined ? url : await readSecret(urlFrom, 'urlFrom')
  const fault = urlFault(address)
  if (fault !== undefined) throw new PbmError('NOTIFY_FAILED', `the address of the webhook ${fault}`)
  const target = new URL(address)
  requireAllowed(targetOf(target), allowed)
  const secrets = await Promise.all(
    Object.entries(headersFrom).map(
      async ([name, from]) => [name, await readSecret(from, `headersFrom.${name}`)] as const,
    ),
  )
  const typed = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  const response = await fetch(target, {
    method: 'POST',
    headers: { ...(typed ? {} : { 'Content-Type': 'application/json' }), ...headers, ...Object.fromEntries(secrets) },
    body: webhookBody(webhook, fields),
    // Where it leads is not what was allowed.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(SEND_MS)]),
  }).catch((cause: unknown) => {
    throw new PbmError('NOTIFY_FAILED', `${target.host} could not be reached`, { cause })
  })
  // What it says may be of a place that nobody should see into.
  await response.body?.cancel()
  if (response.ok) return
  const moved = response.status >= 300 && response.status < 400 ? ': redirections are not followed' : ''
  throw new PbmError('NOTIFY_FAILED', `${target.host} answered ${response.status}${moved}`)
}
