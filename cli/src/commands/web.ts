import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { PbmError } from '@pbmkit/core'
import { Command } from 'commander'
import { usageError } from '../errors.js'
import { wholeNumber } from '../numbers.js'
import type { Run, Session } from '../session.js'
import type { BuildProgram } from '../web/run-line.js'
import { version } from './version.js'

interface WebOptions {
  port?: number
  listen?: string
  tlsCertFile?: string
  tlsKeyFile?: string
  readOnly?: boolean
  open?: boolean
}

/** What people know for a page that is served with TLS. */
const TEAM_PORT = 8443
const CLOSE_IDLE_EVERY_MS = 60_000

/** `pbm web`: a page that shows what the other commands tell, and does what they do, until Ctrl-C. */
export function webCommand(run: Run, build: BuildProgram): Command {
  return new Command('web')
    .description('serve a page that shows backups, agents and logs, and from which backups and restores are started')
    .option('--port <n>', `default: a free one; with --listen: ${TEAM_PORT}`, wholeNumber('--port'))
    .option('--listen <address>', 'for others too, who log in as users of the database: needs a certificate')
    .option('--tls-cert-file <path>', 'with --listen: the certificate and its chain, as PEM')
    .option('--tls-key-file <path>', 'with --listen: its key, as PEM')
    .option('--read-only', 'only show: nothing can be started from the page')
    .option('--open', 'open the page in the browser of this machine')
    .action((options: WebOptions, command: Command) => run(command, (session) => web(session, options, build)))
}

async function web(session: Session, options: WebOptions, build: BuildProgram): Promise<void> {
  const { listen, port = listen === undefined ? 0 : TEAM_PORT, readOnly = false } = options
  if (port > 65_535) throw usageError(`--port ${port}: ports end at 65535`)
  checkCombination(options)
  // A command that serves nothing needs none of it.
  const [{ portOf, webServer }, { TokenVisitors, UserVisitors }, access, { pageFiles }] = await Promise.all([
    import('../web/server.js'),
    import('../web/visitors.js'),
    import('../web/access.js'),
    import('../web/page-files.js'),
  ])
  const tls = await tlsFiles(options)
  await session.uri()
  // For others, nothing is read as the user of the command line.
  if (tls === undefined) await session.leader()
  const { signal } = session
  const visitors = tls === undefined ? new TokenVisitors(session) : new UserVisitors(session)
  const isHost = tls === undefined ? access.isLoopbackHost : access.certifiedHost(tls.certificate)
  const app = webServer({
    ...{ build, visitors, isHost, readOnly, version, signal, files: await pageFiles() },
    ...(tls === undefined ? {} : { tls }),
  })
  let tidy: (() => Promise<void>) | undefined
  try {
    await app.listen({ host: listen ?? '127.0.0.1', port }).catch((cause: unknown) => {
      throw new PbmError('WEB_LISTEN', `can't listen at ${listen ?? '127.0.0.1'}:${port}`, { cause })
    })
    const address =
      visitors instanceof TokenVisitors
        ? `http://127.0.0.1:${portOf(app)}/?token=${visitors.token}`
        : `https://${listen?.includes(':') === true ? `[${listen}]` : listen}:${portOf(app)}/`
    session.output.entry({ url: address, readOnly }, () => `The page is at ${address}\nCtrl-C ends it.`)
    if (options.open === true) tidy = await (await import('../web/open-browser.js')).openBrowser(address, session)
    const idle = setInterval(() => {
      if (visitors instanceof UserVisitors) void visitors.endIdle()
    }, CLOSE_IDLE_EVERY_MS)
    if (!signal.aborted) await once(signal, 'abort')
    clearInterval(idle)
  } finally {
    await tidy?.()
    await visitors.close()
    await app.close()
  }
}

function checkCombination({ listen, tlsCertFile, tlsKeyFile, open }: WebOptions): void {
  const needed = [tlsCertFile, tlsKeyFile].filter((file) => file !== undefined).length
  if (listen === undefined && needed > 0)
    throw usageError(
      '--tls-cert-file and --tls-key-file go only with --listen',
      'On loopback nothing can be overheard.',
    )
  if (listen !== undefined && needed < 2)
    throw usageError(
      '--listen needs --tls-cert-file and --tls-key-file',
      'Passwords are typed into the page. For yourself alone, leave --listen out, and reach it through ssh -L.',
    )
  if (listen !== undefined && open === true) throw usageError('--open goes only without --listen')
}

async function tlsFiles({ tlsCertFile, tlsKeyFile }: WebOptions) {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined
  const read = (file: string) =>
    readFile(file).catch((cause: unknown) => {
      throw new PbmError('FILE_UNREADABLE', `can't read ${file}`, { cause })
    })
  const [cert, key] = await Promise.all([read(tlsCertFile), read(tlsKeyFile)])
  try {
    return { cert, key, certificate: new X509Certificate(cert) }
  } catch (cause) {
    throw new PbmError('WEB_CERTIFICATE', `${tlsCertFile} holds no certificate`, { cause })
  }
}
