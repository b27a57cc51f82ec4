import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** The path of a command-line tool, or undefined when PATH has none. */
export function toolOnPath(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** What a tool writes to its standard output when it gets `input` on its standard input. Rejects when it fails. */
export async function pipeThrough(path: string, args: readonly string[], input: Uint8Array): Promise<Buffer> {
  const tool = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const exited = new Promise<number | null>((resolve, reject) => {
    tool.on('error', reject)
    tool.on('close', resolve)
  })
  const [output, complaint, code] = await Promise.all([
    gather(tool.stdout),
    gather(tool.stderr),
    exited,
    // A tool that refuses its input closes the pipe: its exit code tells more than the broken pipe.
    pipeline(Readable.from([input]), tool.stdin).catch(() => undefined),
  ])
  if (code !== 0) throw new Error(`${path} ${args.join(' ')} ended with ${code}: ${complaint.toString().trim()}`)
  return output
}

async function gather(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
