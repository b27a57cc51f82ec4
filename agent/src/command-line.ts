import { buildFacts, buildText, VERSION } from '@pbmkit/core'
import { Argument, Command } from 'commander'
import { completionScript, SHELLS } from './completion.js'
import type { Flags } from './settings.js'

export interface CommandLineActions {
  run(flags: Flags): Promise<void>
  /** Where `version` and `completion` print. */
  print(text: string): void
}

/** The flags of `pbm-agent` (PBM: cli-and-config.md §2). */
export function commandLine({ run, print }: CommandLineActions): Command {
  const program = new Command('pbm-agent')
  program
    .description('Runs beside a mongod: backs it up, restores it, and coordinates with the other agents.')
    .version(VERSION, '--version', 'print the version number, as pbm-agent version --short')
    .option('-f, --config <file>', 'YAML file with the settings below; watched for changes of the log')
    .option('--mongodb-uri <uri>', 'the mongod beside this agent [PBM_MONGODB_URI; mongodb-uri]')
    .option('--mongodb-uri-file <file>', 'a file that holds the URI [PBM_MONGODB_URI_FILE; mongodb-uri-file]')
    .option(
      '--dump-parallel-collections <number>',
      'collections dumped at once where neither command nor configuration says it ' +
        '[PBM_DUMP_PARALLEL_COLLECTIONS; backup.dump-parallel-collections] (default: half of the CPUs)',
    )
    .option('--log-path <file>', 'where to log [LOG_PATH; log.path] (default: /dev/stderr)')
    .option('--log-level <level>', 'D, I, W, E or F [LOG_LEVEL; log.level] (default: D)')
    .option('--log-json [true|false]', 'one JSON object a line [LOG_JSON; log.json]')
    .option('--plugin-dir <folder>', 'where plugins were installed [PBM_PLUGIN_DIR; plugin-dir]')
    .option(
      '--allow-files <folder>',
      'a folder from which the configuration may have files read (keys, authorities); several times for several ' +
        '[PBM_ALLOW_FILES; allow-files] (default: /etc/pbm, /etc/pbmkit, /etc/ssl, /run/secrets)',
      (folder: string, others: readonly string[] = []) => [...others, folder],
    )
    .option(
      '--allow-key-command <path>',
      'a program that keyCommand and identityCommand may run; several times for several ' +
        '[PBM_ALLOW_KEY_COMMAND; allow-key-command] (default: none)',
      (path: string, others: readonly string[] = []) => [...others, path],
    )
    .option(
      '--allow-notify <place>',
      'where notifications may be sent: HOST (usual ports), HOST:PORT, or the beginning of an https address; several times ' +
        'for several [PBM_ALLOW_NOTIFY; allow-notify] (default: nowhere)',
      (entry: string, others: readonly string[] = []) => [...others, entry],
    )
    .option(
      '--wait-for-mongod <seconds>',
      'how long a mongod may take to answer at the start [PBM_WAIT_FOR_MONGOD; wait-for-mongod] (default: 60)',
    )
    .option(
      '--mongod-start <command>',
      'what starts the mongod after a physical restore, run by /bin/sh [PBM_MONGOD_START; mongod.start] (default: as it was started)',
    )
    .option(
      '--state-folder <folder>',
      'where a restore writes down how far it is [PBM_STATE_FOLDER; state-folder] (default: $STATE_DIRECTORY, else ~/.pbmkit)',
    )
    .option(
      '--scratch-folder <folder>',
      'where a mongod of the agent itself has its files, for drills and for parts of physical backups [PBM_SCRATCH_FOLDER; scratch.folder] ' +
        '(default: scratch in the state folder)',
    )
    .option('--scratch-cache <GB>', 'the memory of its cache [PBM_SCRATCH_CACHE; scratch.cache] (default: 0.5)')
    .option(
      '--scratch-keep-free <GB>',
      'what stays free on the file system of its files [PBM_SCRATCH_KEEP_FREE; scratch.keep-free] (default: 1)',
    )
    .option(
      '--scratch-mongod <path>',
      'its program [PBM_SCRATCH_MONGOD; scratch.mongod] (default: that of the mongod beside the agent)',
    )
    .option(
      '--check-user <seconds>',
      "how often to look whether the agent's user has changed [PBM_CHECK_USER; check-user] (default: 60)",
    )
    .option(
      '--metrics-listen <host:port>',
      'where to serve metrics for Prometheus, as 127.0.0.1:9216 [PBM_METRICS_LISTEN; metrics.listen] (default: nowhere)',
    )
    .option('--metrics-tls-cert <file>', 'their certificate, PEM [PBM_METRICS_TLS_CERT; metrics.tls-cert]')
    .option('--metrics-tls-key <file>', 'its key, PEM [PBM_METRICS_TLS_KEY; metrics.tls-key]')
    .option(
      '--metrics-users <file>',
      'who may read them: user:password, one a line [PBM_METRICS_USERS; metrics.users] (default: everybody)',
    )
    .option(
      '--stop-grace <seconds>',
      'how long running work may go on after SIGTERM [PBM_STOP_GRACE; stop-grace] (default: 10)',
    )
    .action(async (flags: Flags) => run(flags))
  program
    .command('version')
    .description('print the version')
    .option('-s, --short', 'the number alone')
    .option('-c, --commit', 'the commit it was built from alone; empty where that is not known')
    .option('--format <format>', 'json')
    .action(({ short, commit, format }: { short?: boolean; commit?: boolean; format?: string }) => {
      const facts = buildFacts()
      if (short === true) print(VERSION)
      else if (commit === true) print(facts.GitCommit)
      else print(format === 'json' ? JSON.stringify(facts) : buildText(facts))
    })
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', SHELLS.join(' or ')).choices(SHELLS))
    .action((shell: string) => print(completionScript(shell, program)))
  return program
}
