import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const KINDS = ['storage', 'compression', 'encryption'] as const
export type Kind = (typeof KINDS)[number]

/** The versions that the templates are written for. */
const PBMKIT_VERSION = '^0.1.0'
const TEMPLATES = fileURLToPath(new URL('../templates', import.meta.url))

export interface Plugin {
  readonly kind: Kind
  /** What the configuration calls it. */
  readonly name: string
  readonly packageName: string
  /** Made where it is missing; must be empty. */
  readonly folder: string
}

export function isKind(text: string): text is Kind {
  return KINDS.some((kind) => kind === text)
}

/** What a configuration already means by a name: `encryption.type: none`, a key beside the options, our plugins and PBM's. */
const TAKEN: Readonly<Record<Kind, readonly string[]>> = {
  storage: ['type', 'name', 'profile', 'filesystem', 's3', 'gcs', 'azure', 'sftp', 'minio', 'oss', 'oci', 'blackhole'],
  compression: ['none', 'gzip', 'pgzip', 'zstd', 'lz4', 'snappy', 's2'],
  encryption: ['type', 'none', 'aes-gcm', 'age'],
}

/** Why a name is none; undefined for a good one. */
export function whyBadName(kind: Kind, name: string): string | undefined {
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return 'it takes lower-case letters, digits and dashes between them'
  if (TAKEN[kind].includes(name))
    return `in a configuration it means something already; say what is special about yours`
  const [, short] = /^(?:pbmkit-)?(?:(?:storage|compression|encryption)-)(.+)$/.exec(name) ?? []
  if (short !== undefined) return `the package gets the beginning by itself; call it ${short}`
  return name.length > 60 ? 'it is too long' : undefined
}

/** As {@link whyBadName}, of a scope; the `@` may be left out. */
export function whyBadScope(scope: string): string | undefined {
  return /^@?[a-z0-9][a-z0-9._-]*$/.test(scope) ? undefined : 'npm takes lower-case letters, digits, dots and dashes'
}

/** By the naming rule, so that `storage.type: <name>` finds it; a scoped package is named in full in the configuration. */
export function packageNameOf(kind: Kind, name: string, scope?: string): string {
  const bare = `pbmkit-${kind}-${name}`
  return scope === undefined ? bare : `${scope.startsWith('@') ? scope : `@${scope}`}/${bare}`
}

/** Writes the plugin. Rejects when the folder holds something already: nothing is ever overwritten. */
export async function scaffold(plugin: Plugin): Promise<void> {
  const { kind, folder } = plugin
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest(plugin), undefined, 2)}\n`)
  for (const template of ['common', kind]) {
    const from = join(TEMPLATES, template)
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const source = join(entry.parentPath, entry.name)
      // npm leaves out a .gitignore, and a workflow here would be one of this repository.
      const target = join(
        folder,
        source
          .slice(from.length + 1)
          .replace(/^_/, '.')
          .replaceAll(/(?<=\/)_/g, '.'),
      )
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, filled(await readFile(source, 'utf8'), plugin))
    }
  }
}

function filled(text: string, { kind, name, packageName }: Plugin): string {
  return text.replaceAll('__NAME__', name).replaceAll('__PACKAGE__', packageName).replaceAll('__KIND__', kind)
}

function manifest({ kind, name, packageName }: Plugin): object {
  return {
    name: packageName,
    version: '0.1.0',
    description: `${name} ${kind} for pbmkit`,
    license: 'Apache-2.0',
    type: 'module',
    engines: { node: '>=22.15' },
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    files: ['dist', '!dist/**/*.test.*'],
    keywords: ['pbmkit-plugin'],
    pbmkit: { kind, apiVersion: 1 },
    scripts: { build: 'tsc', test: 'tsc && node --test "dist/**/*.test.js"', prepack: 'tsc' },
    peerDependencies: { '@pbmkit/core': PBMKIT_VERSION },
    devDependencies: {
      '@pbmkit/conformance': PBMKIT_VERSION,
      '@pbmkit/core': PBMKIT_VERSION,
      '@types/node': '^24.0.0',
      typescript: '>=5.9.0',
    },
  }
}
