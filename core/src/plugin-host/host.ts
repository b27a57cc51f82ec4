import 'reflect-metadata'
import { container, type DependencyContainer, type InjectionToken } from 'tsyringe'
import { errorText, PbmError } from '../errors.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { EncryptionPlugin } from '../plugin/encryption.js'
import type { StoragePlugin } from '../plugin/storage.js'
import { shapeFaults } from './check.js'
import {
  BrokenPackage,
  baseOfFolder,
  type FoundPackage,
  findPackage,
  folderOfBase,
  visiblePackages,
} from './find-package.js'
import { importPackage } from './import-package.js'
import { checkLocalAccess, DEFAULT_LOCAL_ACCESS, type LocalAccess } from './local-access.js'
import { manifestFault } from './manifest.js'
import {
  candidatePackages,
  isLegalPluginName,
  isPackageName,
  missingPluginHint,
  PLUGIN_KINDS,
  type PluginKind,
  pluginOfPackage,
  withoutAlias,
} from './naming.js'
import { none } from './none.js'
import type { SchemaNode } from './schema.js'

/** Every plugin of a kind that this process has loaded; `resolveAll` gives them. */
export const STORAGE_PLUGIN: InjectionToken<StoragePlugin> = Symbol('loaded storage plugin')
export const COMPRESSION_PLUGIN: InjectionToken<CompressionPlugin> = Symbol('loaded compression plugin')
export const ENCRYPTION_PLUGIN: InjectionToken<EncryptionPlugin> = Symbol('loaded encryption plugin')

export interface PluginHostOptions {
  /** File URL of the agent or CLI (`import.meta.url`): plugins are found as that module would import them. */
  readonly resolveFrom: string
  /** A folder into which plugins were installed (`npm install --prefix`); asked first. `--plugin-dir`, `PBM_PLUGIN_DIR`. */
  readonly pluginDir?: string | undefined
  /** What options may make this process read and run. */
  readonly localAccess?: LocalAccess | undefined
}

/** One plugin that this process has loaded or would find. */
export interface LoadablePlugin {
  readonly kind: PluginKind
  readonly name: string
  readonly version: string
  /** `built in` for what core brings. */
  readonly packageName: string
  /** Folder it is loaded from; '' for what core brings. */
  readonly folder: string
}

/** A plugin as {@link PluginHost.inspect} found it. */
export interface InspectedPlugin extends LoadablePlugin {
  /** Of the plugin interfaces it is made for; absent where it can't be loaded. */
  readonly apiVersion?: number
  /** Why it can't be used, and what mends that. */
  readonly fault?: { readonly code: string; readonly message: string; readonly hint?: string }
}

/** What the configuration asks of plugins, as far as the host needs it. */
export interface PluginNeeds {
  readonly storage?: { readonly type: string } | undefined
  readonly backup?: { readonly compression?: string | undefined } | undefined
  readonly pitr?: { readonly compression?: string | undefined } | undefined
  readonly encryption?: { readonly type: string } | undefined
}

interface PluginOfKind {
  storage: StoragePlugin
  compression: CompressionPlugin
  encryption: EncryptionPlugin
}

/** Stands for a package whose main export leads nowhere. */
const BROKEN = { version: '', folder: '' }

const TOKENS = { storage: STORAGE_PLUGIN, compression: COMPRESSION_PLUGIN, encryption: ENCRYPTION_PLUGIN }

/**
 * Finds, loads, checks and keeps plugins. The configuration names them; nothing is scanned.
 *
 * `s3` as a storage means the package `@pbmkit/storage-s3`, then `pbmkit-storage-s3`; a package name means itself. A
 * plugin is loaded when it is first asked for and registered in {@link container} under the token of its kind.
 */
export class PluginHost {
  /** Child of tsyringe's global container; parent of the containers of operations. */
  readonly container: DependencyContainer = container.createChildContainer()
  readonly #localAccess: LocalAccess
  readonly #bases: readonly string[]
  /** What installs a package where it is looked for first. */
  readonly #install: string
  readonly #loading = new Map<string, Promise<unknown>>()
  readonly #loaded: LoadablePlugin[] = [
    { kind: 'compression', name: 'none', version: '', packageName: 'built in', folder: '' },
  ]

  constructor(options: PluginHostOptions) {
    const { resolveFrom, pluginDir, localAccess = DEFAULT_LOCAL_ACCESS } = options
    this.#localAccess = localAccess
    this.#bases = pluginDir === undefined || pluginDir === '' ? [resolveFrom] : [baseOfFolder(pluginDir), resolveFrom]
    this.#install = pluginDir === undefined || pluginDir === '' ? 'npm install' : `npm install --prefix ${pluginDir}`
    this.container.registerInstance(COMPRESSION_PLUGIN, none)
  }

  /**
   * Refuses options of `plugin` that lead to files or programs of this machine which its settings do not allow: to be
   * called before each `open`. Rejects with CONFIG_LOCAL_FILE and CONFIG_LOCAL_COMMAND.
   */
  async checkLocalAccess(plugin: StoragePlugin | EncryptionPlugin, options: object): Promise<void> {
    const section = plugin.kind === 'storage' ? 'storage' : 'encryption'
    await checkLocalAccess(options, plugin.optionsSchema as SchemaNode, `${section}.${plugin.name}`, this.#localAccess)
  }

  /** The storage plugin of `storage.type`. Rejects with a PbmError `PLUGIN_…` that names the package and what mends it. */
  storage(type: string): Promise<StoragePlugin> {
    return this.#load('storage', type)
  }

  /** The compression plugin of `backup.compression`; as {@link storage}. */
  compression(type: string): Promise<CompressionPlugin> {
    return withoutAlias('compression', type) === 'none' ? Promise.resolve(none) : this.#load('compression', type)
  }

  encryption(type: string): Promise<EncryptionPlugin> {
    return this.#load('encryption', type)
  }

  /**
   * A package that is no plugin, found where plugins are: what only some commands need and few install. Rejects with
   * PLUGIN_MISSING and PLUGIN_LOAD, as for a plugin.
   */
  async module(packageName: string): Promise<unknown> {
    const found = await findPackage(packageName, this.#bases).catch(() => undefined)
    if (found === undefined)
      throw new PbmError('PLUGIN_MISSING', `${packageName} is not installed, and this needs it`, {
        hint: `${this.#install} ${packageName} (looked from ${this.#bases.map(folderOfBase).join(' and ')})`,
      })
    return await importPackage(found.entry, {
      label: packageName,
      hint: `install it anew: ${this.#install} ${packageName}`,
    })
  }

  /** Loads all that `config` names. Rejects with one PbmError that tells every fault, whose cause holds them singly. */
  async check(config: PluginNeeds): Promise<void> {
    const methods = new Set([config.backup?.compression ?? 's2', config.pitr?.compression ?? 'none'])
    const faults = await faultsOf([
      ...(config.storage === undefined ? [] : [this.storage(config.storage.type)]),
      ...[...methods].map((method) => this.compression(method)),
      ...(config.encryption === undefined || config.encryption.type === 'none'
        ? []
        : [this.encryption(config.encryption.type)]),
    ])
    if (faults.length > 0) throw together(faults)
  }

  /** What is loaded, and what lies by its name in the installation and the plugin folder; nothing is loaded for it. */
  async loadable(): Promise<LoadablePlugin[]> {
    return (await this.#installed()).filter(({ broken }) => !broken).map(({ broken: _, ...plugin }) => plugin)
  }

  /** As {@link loadable}, with each loaded and checked: a fault is told, not thrown. */
  async inspect(): Promise<InspectedPlugin[]> {
    return Promise.all(
      (await this.#installed()).map(async ({ broken: _, ...plugin }): Promise<InspectedPlugin> => {
        if (plugin.name === none.name && plugin.kind === none.kind) return { ...plugin, apiVersion: none.apiVersion }
        try {
          const { apiVersion } = await this.#load(plugin.kind, plugin.name)
          return { ...plugin, apiVersion }
        } catch (error) {
          return { ...plugin, fault: pluginFault(error) }
        }
      }),
    )
  }

  async #installed(): Promise<(LoadablePlugin & { readonly broken: boolean })[]> {
    const found = new Map(
      this.#loaded.map((plugin) => [`${plugin.kind} ${plugin.name}`, { ...plugin, broken: false as boolean }] as const),
    )
    // In this order ours, whose names begin with @, go before a stranger's of the same name, as they do when loaded.
    const names = [...new Set((await Promise.all(this.#bases.map(visiblePackages))).flat())].sort()
    const asPackages = new Set(this.#loaded.map(({ packageName }) => packageName))
    for (const packageName of names) {
      // Loaded already, perhaps by its package's name: it is not another plugin.
      if (asPackages.has(packageName)) continue
      const plugin = pluginOfPackage(packageName)
      if (plugin === undefined || found.has(`${plugin.kind} ${plugin.name}`)) continue
      const place = await findPackage(packageName, this.#bases).catch(() => BROKEN)
      if (place === undefined) continue
      const { version, folder } = place
      found.set(`${plugin.kind} ${plugin.name}`, { ...plugin, version, packageName, folder, broken: place === BROKEN })
    }
    return [...found.values()].sort(
      (a, b) => PLUGIN_KINDS.indexOf(a.kind) - PLUGIN_KINDS.indexOf(b.kind) || (a.name < b.name ? -1 : 1),
    )
  }

  #load<Kind extends PluginKind>(kind: Kind, configured: string): Promise<PluginOfKind[Kind]> {
    const name = withoutAlias(kind, configured)
    const key = `${kind} ${name}`
    const known = this.#loading.get(key)
    if (known !== undefined) return known as Promise<PluginOfKind[Kind]>
    const loading = this.#find(kind, name).then((found) => this.#import<Kind>(kind, name, found))
    this.#loading.set(key, loading)
    // A fault may be mended while the process runs (npm install); the next call looks again.
    loading.catch(() => this.#loading.delete(key))
    return loading
  }

  async #find(kind: PluginKind, name: string): Promise<FoundPackage> {
    if (!isLegalPluginName(name)) {
      throw new PbmError('PLUGIN_NAME', `${kind} plugin ${JSON.stringify(name)}: this can't be the name of a plugin`, {
        hint: `name a ${kind} such as ${kind === 'storage' ? 'filesystem' : 'zstd'}, or an npm package`,
      })
    }
    const candidates = candidatePackages(kind, name)
    for (const packageName of candidates) {
      try {
        const found = await findPackage(packageName, this.#bases)
        if (found !== undefined) return found
      } catch (cause) {
        throw new PbmError(
          'PLUGIN_LOAD',
          `${kind} plugin ${JSON.stringify(name)}: ${packageName} is installed, but can't be loaded`,
          {
            hint: `install it anew: ${this.#install} ${packageName}`,
            cause: cause instanceof BrokenPackage ? cause.cause : cause,
          },
        )
      }
    }
    const packages = candidates.join(' nor ')
    const neither = candidates.length > 1 ? 'neither ' : ''
    const isAre = candidates.length > 1 ? 'is' : 'is not'
    throw new PbmError(
      'PLUGIN_MISSING',
      `${kind} plugin ${JSON.stringify(name)}: ${neither}${packages} ${isAre} installed`,
      {
        hint: `${missingPluginHint(kind, name, this.#install)} (looked from ${this.#bases.map(folderOfBase).join(' and ')})`,
      },
    )
  }

  async #import<Kind extends PluginKind>(kind: Kind, name: string, found: FoundPackage): Promise<PluginOfKind[Kind]> {
    const label = `${kind} plugin ${JSON.stringify(name)}: ${found.packageName}${found.version === '' ? '' : `@${found.version}`}`
    const unfit = manifestFault(found.manifest, kind)
    if (unfit !== undefined) {
      throw new PbmError(unfit.code, `${label} ${unfit.text}`, {
        hint: mending(unfit.code, kind, `${this.#install} ${found.packageName}`),
      })
    }
    const module = await importPackage<{ default?: unknown }>(found.entry, {
      label,
      hint: `install it anew, with what it needs: ${this.#install} ${found.packageName}`,
    })
    const [fault, ...more] = shapeFaults(module.default, kind, isPackageName(name) ? undefined : name)
    if (fault !== undefined) {
      const rest = more.map(({ text }) => `, ${text.replace(/^.*?: /, '')}`).join('')
      throw new PbmError(fault.code, `${label} ${fault.text}${rest}`, {
        hint: mending(fault.code, kind, `${this.#install} ${found.packageName}`),
      })
    }
    const plugin = module.default as PluginOfKind[Kind]
    this.container.registerInstance(TOKENS[kind] as InjectionToken<PluginOfKind[Kind]>, plugin)
    this.#loaded.push({ kind, name, version: found.version, packageName: found.packageName, folder: found.folder })
    return plugin
  }
}

function mending(code: string, kind: PluginKind, install: string): string {
  if (code === 'PLUGIN_WRONG_KIND') return `name a ${kind} plugin in the configuration; this package is none`
  if (code === 'PLUGIN_NO_KEYWORD') return 'nothing of it was run; if it is a plugin, its author has to add the keyword'
  if (code === 'PLUGIN_WRONG_NODE') return 'update Node.js, or install an older version of the package'
  if (code === 'PLUGIN_WRONG_API') return `${install}@latest, or the version made for this pbmkit`
  return `${install}@latest; if that is the one you have, tell its author`
}

/** A fault in plain words, for lists and for documents. */
export function pluginFault(error: unknown): NonNullable<InspectedPlugin['fault']> {
  const { code, hint } = error instanceof PbmError ? error : { code: 'PLUGIN_LOAD', hint: undefined }
  const cause = error instanceof Error && error.cause !== undefined ? `: ${errorText(error.cause)}` : ''
  const message = `${error instanceof Error ? error.message : String(error)}${cause}`
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

async function faultsOf(attempts: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(attempts)
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
}

function together(faults: readonly unknown[]): unknown {
  if (faults.length === 1) return faults[0]
  const told = faults.map((fault) => {
    const hint = fault instanceof PbmError && fault.hint !== undefined ? ` (${fault.hint})` : ''
    return `- ${fault instanceof Error ? fault.message : String(fault)}${hint}`
  })
  return new PbmError('PLUGIN_FAULTS', `${faults.length} plugins can't be used:\n${told.join('\n')}`, {
    cause: new AggregateError(faults, ''),
  })
}
