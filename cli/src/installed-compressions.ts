import { PluginHost } from '@pbmkit/core'

/** The methods a backup may be compressed with here, for its help; [] where nobody asks for help. */
export async function installedCompressions(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  const asked = args.includes('backup') && ['help', '--help', '-h'].some((word) => args.includes(word))
  if (!asked) return []
  const plugins = await new PluginHost({ resolveFrom: import.meta.url, pluginDir: env.PBM_PLUGIN_DIR }).loadable()
  return plugins.filter(({ kind }) => kind === 'compression').map(({ name }) => name)
}
