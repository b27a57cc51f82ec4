import type { PluginContext } from '@pbmkit/core/plugin'
import type { Scene } from './errors.js'
import { type AzureOptions, endpointOf } from './options.js'

export function sceneOf(options: AzureOptions, context: PluginContext, doing: string): Scene {
  const { account, container } = options
  return { doing, account, container, endpoint: endpointOf(options, context.node), signatureEnds: endOf(options) }
}

/** When the shared access signature that is used ends. */
function endOf({ credentials = {} }: AzureOptions): Date | undefined {
  const { key, sasToken } = credentials
  if (key || !sasToken) return undefined
  const end = Date.parse(new URLSearchParams(sasToken.replace(/^\?/, '')).get('se') ?? '')
  return Number.isNaN(end) ? undefined : new Date(end)
}
