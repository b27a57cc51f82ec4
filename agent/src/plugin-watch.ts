import { type AgentPlugins, type InspectedPlugin, inspectApart, type LoadablePlugin, PluginHost } from '@pbmkit/core'

export interface PluginWatchOptions {
  readonly resolveFrom: string
  readonly pluginDir: string | undefined
  /** Ends what is under way. */
  readonly signal: AbortSignal
  readonly inspect?: typeof inspectApart
}

/**
 * What this agent can load, for its status: the names at once, versions and faults as soon as a process of its own has
 * loaded each. That is done again when something was installed or removed.
 */
export class PluginWatch {
  readonly #options: PluginWatchOptions
  /** Only looks for names, so that what is loaded for operations does not hide what is installed by now. */
  readonly #host: PluginHost
  #seen = ''
  #inspectedFor = ''
  #inspected: readonly InspectedPlugin[] | undefined

  constructor(options: PluginWatchOptions) {
    this.#options = options
    this.#host = new PluginHost(options)
  }

  async plugins(): Promise<AgentPlugins> {
    const all = await this.#host.loadable()
    const present = JSON.stringify(all)
    // Not with the first look: an agent that starts has more urgent things to do.
    if (present === this.#seen && present !== this.#inspectedFor) this.#inspect(present)
    this.#seen = present
    const named = (kind: string) => all.filter((plugin) => plugin.kind === kind).map(({ name }) => name)
    const installed = present === this.#inspectedFor && this.#inspected !== undefined ? this.#inspected : all
    return {
      storage: named('storage'),
      compression: named('compression'),
      encryption: named('encryption'),
      installed: [...(installed satisfies readonly LoadablePlugin[])],
    }
  }

  #inspect(present: string): void {
    const { resolveFrom, pluginDir, signal, inspect = inspectApart } = this.#options
    this.#inspectedFor = present
    this.#inspected = undefined
    void inspect({ resolveFrom, pluginDir }, signal).then((found) => {
      if (this.#inspectedFor === present) this.#inspected = found
    })
  }
}
