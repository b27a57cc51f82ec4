import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { commandsInBlocks, commandsInSource, commandsInText, type DocumentedCommand } from './documented-commands.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

interface Ended {
  readonly code: number
  readonly output: string
}

describe('commands in documents', () => {
  const root = repositoryRoot()
  const files = repositoryFiles(root)
  const documents = files.filter((path) => path.endsWith('.md') && !path.startsWith('docs/reference/'))
  const inBlocks = documents.flatMap((file) => commandsInBlocks(file, readText(root, file)))

  /** By its path, since nothing may depend on the program. Without a connection string it ends once the words are understood. */
  async function pbm(...args: string[]): Promise<Ended> {
    const cli = (await import(join(root, 'cli/dist/main.js'))) as {
      main(args: readonly string[], io: object): Promise<number>
    }
    let output = ''
    const write = (text: string) => {
      output += text
      return true
    }
    const sink = () => Object.assign(new PassThrough(), { write })
    const signal = new AbortController().signal
    const io = { stdin: new PassThrough(), stdout: sink(), stderr: sink(), env: {}, signal }
    return { code: await cli.main(args, io), output }
  }

  async function refused(commands: readonly DocumentedCommand[], fault: (words: string[]) => Promise<string>) {
    const found: string[] = []
    const unlike = new Map(commands.map((command) => [command.words.join(' '), command]))
    for (const { place, words } of unlike.values()) {
      const what = await fault([...words])
      if (what !== '') found.push(`${place}: ${words.join(' ')}: ${what}`)
    }
    return found
  }

  it('of pbm are understood by it', async () => {
    const own = inBlocks.filter(({ words }) => words[0] === 'pbm')
    assert.ok(own.length > 90, 'blocks are read')
    const fault = async ([, ...args]: string[]) => {
      // Against whatever server it names, nothing is done here.
      const at = args.indexOf('--mongodb-uri')
      const { code, output } = await pbm(...(at < 0 ? args : args.toSpliced(at, 2)))
      return code === 2 ? output : ''
    }
    assert.deepEqual(await refused(own, fault), [])
  })

  it('of pbm in running text, and in hints, have commands and flags that there are', async () => {
    const sources = files.filter(
      (path) => /^(core|agent|cli)\/src\/(?!completion\/).*\.ts$/.test(path) && !/\.(spec|e2e)\./.test(path),
    )
    const named = [
      ...documents.flatMap((file) => commandsInText(file, readText(root, file))),
      ...sources.flatMap((file) => commandsInSource(file, readText(root, file))),
    ].filter(({ words }) => words[0] === 'pbm')
    assert.ok(named.length > 100, 'texts are read')
    const helps = new Map<string, Promise<Ended>>()
    const help = (...path: string[]) => {
      const known = helps.get(path.join(' ')) ?? pbm(...path, '--help')
      helps.set(path.join(' '), known)
      return known
    }
    const fault = async ([, command = '', sub = '', ...rest]: string[]) => {
      const texts = [(await help()).output]
      if (!command.startsWith('-') && command !== 'COMMAND') {
        const own = await help(command)
        if (own.code !== 0 || own.output === texts[0]) return 'there is no such command'
        texts.push(own.output)
        if (/^[a-z]/.test(sub) && new RegExp(`^ +${sub}\\b`, 'm').test(own.output.replace(/^.*Commands:/s, '')))
          texts.push((await help(command, sub)).output)
      }
      const flags = [command, sub, ...rest].flatMap((word) => /^--?[a-z][a-z-]*/.exec(word)?.[0] ?? [])
      return flags.filter((flag) => !texts.some((text) => new RegExp(`(^|[ ,])${flag}\\b`, 'm').test(text))).join(' ')
    }
    assert.deepEqual(await refused(named, fault), [])
  })

  it('of npm and Node.js name scripts, packages and files that there are', async () => {
    const { scripts } = JSON.parse(readText(root, 'package.json')) as { scripts: Record<string, string> }
    const packages = files
      .filter((path) => path.endsWith('package.json'))
      .map((path) => (JSON.parse(readText(root, path)) as { name: string }).name)
    const fault = async ([program, verb = '', ...rest]: string[]) => {
      if (program === 'npm' && verb === 'run')
        return rest[0] !== undefined && rest[0] in scripts ? '' : 'no such script'
      const own = [verb, ...rest].flatMap((word) => /^@pbmkit\/[a-z0-9-]+(?=@|$)/.exec(word)?.[0] ?? [])
      const scripted = program === 'node' ? [verb, ...rest].filter((word) => word.startsWith('scripts/')) : []
      return [
        ...own.filter((name) => !packages.includes(name)),
        ...scripted.filter((path) => !existsSync(join(root, path))),
      ].join(' ')
    }
    assert.deepEqual(await refused(inBlocks, fault), [])
  })

  it('are found, without what is around them', () => {
    const text =
      "a `pbm list --restore` and\n```sh\nA='b c' pbm backup --ns 'a b' > x   # then\npbm config --file - <<X\npbm no\nX\necho | pbm status && npm run demo\n```\n"
    assert.deepEqual(
      commandsInBlocks('a.md', text).map(({ place, words }) => [place, ...words]),
      [
        ['a.md:3', 'pbm', 'backup', '--ns', 'a b'],
        ['a.md:4', 'pbm', 'config', '--file', '-'],
        ['a.md:7', 'pbm', 'status'],
        ['a.md:7', 'npm', 'run', 'demo'],
      ],
    )
    assert.deepEqual(commandsInText('a.md', text), [{ place: 'a.md:1', words: ['pbm', 'list', '--restore'] }])
    assert.deepEqual(commandsInSource('a.ts', "hint: 'See pbm config --force-resync; it'"), [
      { place: 'a.ts:1', words: ['pbm', 'config', '--force-resync'] },
    ])
  })
})
