import {
  API_VERSION,
  type Config,
  DEFAULT_COMPRESSION,
  type InspectedPlugin,
  isSealing,
  isStale,
  type LoadablePlugin,
  listProfiles,
  missingPluginHint,
  PbmError,
  type PluginKind,
  type Profile,
  pluginFault,
  readConfig,
  withoutAlias,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { Colours } from '../output/colour.js'
import { indent, table } from '../output/table.js'
import { agentsView, lastHeard } from '../preflight.js'
import type { Run, Session } from '../session.js'

/** A plugin as an agent or this CLI has it, or one that the configuration names and that is not there. */
type Listed = Omit<LoadablePlugin, 'packageName' | 'folder'> & {
  readonly apiVersion?: number
  readonly package?: string
  readonly folder?: string
  readonly configured: boolean
  readonly fault?: InspectedPlugin['fault']
}

interface Place {
  /** `cli`, or the replica set and node of an agent. */
  readonly title: string
  readonly plugins: readonly Listed[]
  /** Why nothing is known of this place. */
  readonly unknown?: string
}

/** What the configuration names, of kinds that are plugins. */
type Needs = readonly { readonly kind: PluginKind; readonly name: string }[]

/** `pbm plugin`: what extends the agents and this program. */
export function pluginCommand(run: Run): Command {
  const command = new Command('plugin').description('show the plugins of the agents and of this program')
  command
    .command('list', { isDefault: true })
    .description('list what each agent and this program can load, and what is wrong with it')
    .action((_options: object, self: Command) => run(self, listPlugins))
  return command
}

async function listPlugins(session: Session): Promise<void> {
  const leader = await session.leader().catch((error: unknown) => {
    // Without a cluster there is still this installation to look at.
    if (error instanceof PbmError && error.code === 'URI_MISSING') return undefined
    throw error
  })
  const needs = leader === undefined ? [] : needsOf(await readConfig(leader), await listProfiles(leader))
  const places: Place[] = [await ownPlace(session, needs)]
  if (leader === undefined) session.output.warn('no MongoDB connection string: the agents are not asked')
  else {
    const { agents, now } = await agentsView(leader)
    for (const agent of agents) {
      const title = `${agent.rs}/${agent.n}`
      const { plugins } = agent
      if (isStale(agent.hb, now)) places.push({ title, plugins: [], unknown: lastHeard(agent, now) })
      else if (plugins === undefined)
        places.push({ title, plugins: [], unknown: 'an agent of PBM, which has no plugins' })
      else {
        const known = plugins.installed ?? [
          ...plugins.storage.map((name) => bare('storage', name)),
          ...plugins.compression.map((name) => bare('compression', name)),
          ...(plugins.encryption ?? []).map((name) => bare('encryption', name)),
        ]
        places.push({ title, plugins: withMissing(known, needs) })
      }
    }
  }
  const [cli, ...agents] = places
  const json = {
    apiVersion: API_VERSION,
    cli: { plugins: cli?.plugins ?? [] },
    agents: agents.map(({ title, plugins, unknown }) => ({
      agent: title,
      plugins,
      ...(unknown === undefined ? {} : { unknown }),
    })),
  }
  session.output.result(json, () => places.map((place) => placeText(place, session.output.colours)).join('\n\n'))
}

function needsOf(config: Config | undefined, profiles: readonly Profile[]): Needs {
  if (config === undefined) return []
  const storages = new Set([config, ...profiles].map(({ storage }) => storage.type))
  const methods = new Set(
    [config.backup?.compression ?? DEFAULT_COMPRESSION, config.pitr?.compression ?? 'none'].map((name) =>
      withoutAlias('compression', name),
    ),
  )
  return [
    ...[...storages].map((name) => ({ kind: 'storage' as const, name })),
    ...[...methods].map((name) => ({ kind: 'compression' as const, name })),
    ...encryptionMethods(config.encryption).map((name) => ({ kind: 'encryption' as const, name })),
  ]
}

/** What seals, and what has a block of its own: backups made with it before are to be restored. */
function encryptionMethods(config: Config['encryption']): string[] {
  const { type, ...blocks } = config ?? {}
  return [...new Set([...(isSealing(config) ? [config.type] : []), ...Object.keys(blocks)])]
}

async function ownPlace(session: Session, needs: Needs): Promise<Place> {
  const host = session.plugins
  const missing: InspectedPlugin[] = []
  for (const { kind, name } of needs) {
    const loading: Promise<unknown> = host[kind](name)
    await loading.catch((error: unknown) => missing.push({ ...bare(kind, name), fault: pluginFault(error) }))
  }
  const found = await host.inspect()
  const absent = missing.filter(
    ({ kind, name }) => !found.some((plugin) => plugin.kind === kind && plugin.name === name),
  )
  return { title: 'This program', plugins: [...found, ...absent].map((plugin) => listed(plugin, needs)) }
}

function withMissing(found: readonly InspectedPlugin[], needs: Needs): Listed[] {
  const absent = needs
    .filter(({ kind, name }) => !found.some((plugin) => plugin.kind === kind && namesOf(plugin).includes(name)))
    .map(({ kind, name }) => ({
      ...bare(kind, name),
      fault: {
        code: 'PLUGIN_MISSING',
        message: `${kind} plugin "${name}" is not installed where this pbm-agent is`,
        hint: missingPluginHint(kind, name),
      },
    }))
  return [...found, ...absent].map((plugin) => listed(plugin, needs))
}

/** A plugin configured by its package goes by either name. */
function namesOf({ name, packageName }: LoadablePlugin): string[] {
  return [name, packageName]
}

function bare(kind: LoadablePlugin['kind'], name: string): InspectedPlugin {
  return { kind, name, version: '', packageName: '', folder: '' }
}

function listed({ packageName, folder, ...plugin }: InspectedPlugin, needs: Needs): Listed {
  const configured = needs.some(({ kind, name }) => kind === plugin.kind && [plugin.name, packageName].includes(name))
  return {
    ...plugin,
    ...(packageName === '' ? {} : { package: packageName }),
    ...(folder === '' ? {} : { folder }),
    configured,
  }
}

function placeText({ title, plugins, unknown }: Place, colours: Colours): string {
  const heading = colours.strong(`${title}:`)
  if (unknown !== undefined) return `${heading}\n  ${colours.caution(unknown)}`
  const rows = plugins.map((plugin) => [
    plugin.kind,
    plugin.name,
    plugin.version === '' ? '-' : plugin.version,
    String(plugin.apiVersion ?? '-'),
    plugin.configured ? 'yes' : '',
    plugin.fault === undefined ? (plugin.folder ?? plugin.package ?? '-') : colours.bad(plugin.fault.code),
  ])
  const faults = plugins.flatMap(({ fault }) =>
    fault === undefined ? [] : [colours.bad(fault.message), ...(fault.hint === undefined ? [] : [`  ${fault.hint}`])],
  )
  const head = ['KIND', 'NAME', 'VERSION', 'API', 'CONFIGURED', 'FROM']
  return [heading, indent(table(head, rows, colours)), ...faults.map((line) => `  ${line}`)].join('\n')
}
