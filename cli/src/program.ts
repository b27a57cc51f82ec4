import { Command, Option } from 'commander'
import { backupCommand } from './commands/backup.js'
import { cancelCommand } from './commands/cancel.js'
import { cancelBackupCommand } from './commands/cancel-backup.js'
import { cleanupCommand, deletePitrCommand } from './commands/cleanup.js'
import { completionCommand } from './commands/completion.js'
import { configCommand } from './commands/config.js'
import { deleteBackupCommand } from './commands/delete-backup.js'
import { describeBackupCommand } from './commands/describe-backup.js'
import { describeRestoreCommand } from './commands/describe-restore.js'
import { diagnosticCommand } from './commands/diagnostic.js'
import { drillCommand } from './commands/drill.js'
import { backupFinishCommand } from './commands/external-backup.js'
import { restoreFinishCommand } from './commands/external-restore.js'
import { keyCommand } from './commands/key.js'
import { listCommand } from './commands/list.js'
import { logsCommand } from './commands/logs.js'
import { notifyCommand } from './commands/notify.js'
import { oplogReplayCommand } from './commands/oplog-replay.js'
import { pluginCommand } from './commands/plugin.js'
import { profileCommand } from './commands/profile.js'
import { restoreCommand } from './commands/restore.js'
import { scheduleCommand } from './commands/schedule.js'
import { setupRolesCommand } from './commands/setup-roles.js'
import { statusCommand } from './commands/status.js'
import { storageCommand } from './commands/storage.js'
import { topCommand } from './commands/top.js'
import { verifyCommand } from './commands/verify.js'
import { version, versionCommand } from './commands/version.js'
import { webCommand } from './commands/web.js'
import type { Run } from './session.js'

/**
 * Commands that ignore arguments they have no use for, as PBM's do. Where one more could be meant to do something
 * (`restore A B`), or PBM counts them, they stay refused.
 */
const SURPLUS_IGNORED: ReadonlySet<string> = new Set([
  'backup',
  'cancel-backup',
  'cleanup',
  'config',
  'delete-pitr',
  'diagnostic',
  'list',
  'logs',
  'oplog-replay',
  'status',
  'version',
])

/**
 * The whole command line. Nothing connects or writes before an action runs. `compressions`: the installed methods, for the
 * help.
 */
export function buildProgram(run: Run, compressions: readonly string[] = []): Command {
  const program = new Command('pbm')
    .description('Back up and restore MongoDB. Writes commands for the agents and reads what they report.')
    .addOption(
      new Option('--mongodb-uri <uri>', 'connection string of any member; also PBM_MONGODB_URI, PBM_MONGODB_URI_FILE'),
    )
    .addOption(new Option('-o, --out <format>', 'text, json or json-pretty').default('text'))
    .addOption(new Option('--plugin-dir <folder>', 'where more plugins are installed; also PBM_PLUGIN_DIR'))
    .addOption(
      new Option(
        '--allow-files <folder>',
        'a folder from which files that the configuration names may be read here; may be repeated; also PBM_ALLOW_FILES',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '--allow-key-command <path>',
        'a program that keyCommand and identityCommand may run here; may be repeated; also PBM_ALLOW_KEY_COMMAND',
      ).argParser(collect),
    )
    .version(version, '--version', 'print the version number, as pbm version --short')
    .helpCommand('help [command]', 'help for a command')
    .showSuggestionAfterError()

  for (const command of [
    configCommand(run),
    backupCommand(run, compressions),
    listCommand(run),
    statusCommand(run),
    topCommand(run),
    describeBackupCommand(run),
    verifyCommand(run),
    drillCommand(run),
    restoreCommand(run),
    describeRestoreCommand(run),
    cancelBackupCommand(run),
    backupFinishCommand(run),
    restoreFinishCommand(run),
    cancelCommand(run),
    oplogReplayCommand(run),
    deleteBackupCommand(run),
    deletePitrCommand(run),
    cleanupCommand(run),
    logsCommand(run),
    profileCommand(run),
    scheduleCommand(run),
    notifyCommand(run),
    keyCommand(run),
    pluginCommand(run),
    storageCommand(run),
    diagnosticCommand(run),
    setupRolesCommand(run),
    webCommand(run, (inner) => buildProgram(inner, compressions)),
    versionCommand(run),
    completionCommand(run, () => program),
  ]) {
    // Said when it runs.
    if (SURPLUS_IGNORED.has(command.name())) command.allowExcessArguments()
    program.addCommand(command)
  }

  return program
}

function collect(value: string, others: string[] = []): string[] {
  return [...others, value]
}
