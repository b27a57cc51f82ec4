import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
// It has no types.
import * as smtp from 'smtp-server'

interface MailServer {
  readonly server: NodeJS.EventEmitter & { address(): { port: number } }
  listen(port: number, host: string): void
  close(done: () => void): void
}

interface Constructor {
  new (options: object): MailServer
}

/** A mail server that keeps what it is given, behind STARTTLS and a login where it has a certificate. */
export async function startMailServer(
  given: { readonly certificate?: string; readonly password?: string } = {},
): Promise<{ port: number; mails: string[]; close(): Promise<void> }> {
  const mails: string[] = []
  const pem = given.certificate === undefined ? undefined : await readFile(given.certificate)
  const { SMTPServer } = smtp as unknown as { SMTPServer: Constructor }
  const server = new SMTPServer({
    ...(pem === undefined ? { authOptional: true, disabledCommands: ['STARTTLS'] } : { key: pem, cert: pem }),
    onAuth: (
      { username, password }: { username: string; password: string },
      _session: unknown,
      done: (error: Error | null, login?: { user: string }) => void,
    ) => (password === given.password ? done(null, { user: username }) : done(new Error('refused'))),
    onData: (stream: Readable, _session: unknown, done: () => void) => {
      let mail = ''
      stream.on('data', (data: Buffer) => {
        mail += String(data)
      })
      stream.on('end', () => {
        mails.push(mail)
        done()
      })
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address()
  return { port, mails, close: () => new Promise((resolve) => server.close(resolve)) }
}
