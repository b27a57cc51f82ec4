import * as http from 'node:http'
import { errorText, PbmError } from '../errors.js'

/**
 * Lets `fetch` and Node's own agents go through the proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as vendors' libraries
 * do by themselves; to be called once, by a program. Without effect where Node.js can't (before 22.21 and 24.14). Throws
 * PROXY_INVALID.
 */
export function useProxies(env: NodeJS.ProcessEnv = process.env): void {
  const names = ['HTTPS_PROXY', 'HTTP_PROXY', 'https_proxy', 'http_proxy']
  if (!names.some((name) => (env[name] ?? '') !== '')) return
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: (env: NodeJS.ProcessEnv) => unknown }
  try {
    setGlobalProxyFromEnv?.(env)
  } catch (cause) {
    throw new PbmError('PROXY_INVALID', `HTTPS_PROXY or HTTP_PROXY can't be used: ${errorText(cause)}`, {
      hint: 'Give it as http://HOST:PORT, or unset it',
      cause,
    })
  }
}
