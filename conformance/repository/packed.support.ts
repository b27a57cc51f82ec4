import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from '@pbmkit/conformance/testbed'
import { repositoryFiles, repositoryRoot } from './files.js'

const run = promisify(execFile)

/** What a run of this repository's own tests leaves in the environment, and a user does not have. */
const OUTSIDE = { NODE_V8_COVERAGE: undefined, NODE_OPTIONS: undefined, npm_config_local_prefix: undefined }

export interface PackedFile {
  readonly path: string
}

export interface LockedPackage {
  readonly hasInstallScript?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

/** Libraries in machine code are one package for each kind of machine. */
function isInstalledHere({ os = [], cpu = [], libc = [] }: LockedPackage): boolean {
  const fits = (wanted: readonly string[], own: string) => wanted.length === 0 || wanted.includes(own)
  return fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, 'glibc')
}

/** One package as npm would publish it. */
export interface Packed {
  readonly name: string
  readonly filename: string
  readonly files: readonly PackedFile[]
}

/** A folder in which everything of this repository is installed as a user gets it: packed, and nothing linked. */
export class Installation {
  readonly root = repositoryRoot()
  readonly packed: Packed[] = []
  folder = ''

  /** Installs what is published here, the example, and `more` from the registry that npm is set up with. */
  async install(more: Readonly<Record<string, string>>): Promise<void> {
    this.folder = await temporaryFolder('pbmkit-packed-')
    const packages = join(this.folder, 'packages')
    await mkdir(packages)
    this.packed.push(...(await this.pack(await this.#published(), packages)))
    const dependencies = Object.fromEntries(
      this.packed.map(({ name, filename }) => [name, `file:packages/${filename}`]),
    )
    const manifest = { private: true, type: 'module', dependencies: { ...dependencies, ...more } }
    await writeFile(join(this.folder, 'package.json'), JSON.stringify(manifest))
    await this.npm(['install', '--prefer-offline', '--no-audit', '--no-fund'])
  }

  /**
   * What npm would install on this machine for one package of ours alone, as its lock file has it: path → entry.
   * Those of ours are known to no registry, so all that it depends on are named.
   */
  async locked(name: string): Promise<Map<string, LockedPackage>> {
    const dependencies: Record<string, string> = {}
    const add = async (needing: string): Promise<void> => {
      const own = this.packed.find((one) => one.name === needing)
      if (own === undefined || Object.hasOwn(dependencies, needing)) return
      dependencies[needing] = `file:../packages/${own.filename}`
      const manifest = join(this.folder, 'node_modules', needing, 'package.json')
      const needed = JSON.parse(await readFile(manifest, 'utf8')) as { dependencies?: Record<string, string> }
      for (const inner of Object.keys(needed.dependencies ?? {})) await add(inner)
    }
    await add(name)
    const folder = join(this.folder, 'plain')
    await mkdir(folder)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }))
    await this.run('npm', ['install', '--package-lock-only', '--prefer-offline', '--no-audit', '--no-fund'], folder)
    const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, LockedPackage>
    }
    return new Map(Object.entries(lock.packages).filter(([path, entry]) => path !== '' && isInstalledHere(entry)))
  }

  /** Packs folders into `target`, and tells what is in each. */
  async pack(folders: readonly string[], target: string): Promise<Packed[]> {
    const { stdout } = await this.npm(['pack', '--json', '--ignore-scripts', '--pack-destination', target, ...folders])
    return JSON.parse(stdout.slice(stdout.indexOf('['))) as Packed[]
  }

  npm(args: readonly string[]) {
    return this.run('npm', args, this.folder)
  }

  /** Runs a program with this Node.js first on PATH. Rejects with what it wrote. */
  async run(program: string, args: readonly string[], cwd = this.folder, env: NodeJS.ProcessEnv = {}) {
    const path = [join(this.root, 'node_modules', '.bin'), process.env.PATH].join(delimiter)
    try {
      return await run(program, [...args], {
        cwd,
        env: { ...process.env, ...OUTSIDE, ...env, PATH: path },
        maxBuffer: 256 * 1024 * 1024,
      })
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      throw new Error(`${program} ${args.join(' ')} failed:\n${`${stdout}${stderr}`.slice(-6000)}`, { cause: error })
    }
  }

  bin(name: string): string {
    return join(this.folder, 'node_modules', '.bin', name)
  }

  async #published(): Promise<string[]> {
    const manifests = repositoryFiles(this.root).filter((path) => /(?:^|\/)package\.json$/.test(path))
    const found: string[] = []
    for (const path of manifests) {
      const { private: isPrivate } = JSON.parse(await readFile(join(this.root, path), 'utf8')) as { private?: boolean }
      if (isPrivate !== true) found.push(join(this.root, path.slice(0, -'/package.json'.length)))
    }
    return found
  }
}
