import { type FSWatcher, watch } from 'node:fs'
import { endProcess, errorText, maskText, PbmError, systemClock, untilAborted } from '@pbmkit/core'
import { Agent } from './agent.js'
import { type Connections, connect } from './connect.js'
import { type LocalLog, openLocalLog } from './local-log.js'
import { Metrics } from './metrics/metrics.js'
import { type Flags, loadSettings, type Settings } from './settings.js'
import { TakeOvers } from './take-overs.js'

/** Runs the agent until a signal ends it. Never rejects; the number is the exit code. */
export async function run(settings: Settings, source: { flags: Flags; env: NodeJS.ProcessEnv }): Promise<number> {
  const local = openLocalLog({ path: settings.logPath, level: settings.logLevel, json: settings.logJson })
  const stopping = new AbortController()
  const unwatch = watchSettings(settings, source, local)
  let connections: Connections | undefined
  let agent: Agent | undefined
  let exitCode = 0
  const fail = (error: unknown, what: string): void => {
    local.logger.fatal(maskText(`${what}${errorText(error)}`, settings.mongodbUri))
    exitCode = 1
    stopping.abort()
  }
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) {
      local.logger.warn(`${signal} again: leaving at once`)
      void local.flush().then(() => endProcess(1))
      return
    }
    local.logger.info(`${signal}: stopping`)
    stopping.abort()
  }
  const onUncaught = (error: unknown): void => fail(error, 'uncaught error, a fault of this program: ')
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  process.on('uncaughtException', onUncaught).on('unhandledRejection', onUncaught)
  const connectAgain = async () => {
    connections = await connect({
      uri: settings.mongodbUri,
      waitSeconds: settings.waitForMongod,
      clock: systemClock,
      logger: local.logger,
      signal: stopping.signal,
    })
    return connections
  }
  let metrics: Metrics | undefined
  const takeOvers = new TakeOvers({ settings, logger: local.logger, signal: stopping.signal })
  try {
    if (settings.metrics !== undefined)
      metrics = await Metrics.open(settings.metrics, { clock: systemClock, logger: local.logger })
    for (let goesOn = await takeOvers.recover(); goesOn; ) {
      const connected = await connectAgain()
      await takeOvers.tellEnd(connected.leader)
      agent = await untilAborted(
        Agent.start({ settings, connections: connected, logger: local.logger }),
        stopping.signal,
      )
      metrics?.follow(agent.metricsSource)
      const handedOver = await agent.runUntil(stopping.signal)
      metrics?.leave()
      if (handedOver === undefined) break
      // While there still is a database to say so in.
      await agent.stop('lets go of its mongod for a restore', { keepsConnections: true })
      agent = undefined
      goesOn = await takeOvers.carryOut(handedOver, () => connected.close())
      if (!goesOn) local.logger.info('this agent ends until the files are copied: start it again then')
    }
  } catch (error) {
    if (!stopping.signal.aborted || error instanceof PbmError) fail(error, '')
  } finally {
    await agent
      ?.stop(exitCode === 0 ? 'was stopped' : 'failed')
      .catch((error: unknown) => fail(error, 'while stopping: '))
    await connections?.close()
    await metrics?.close()
    unwatch()
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
    process.off('uncaughtException', onUncaught).off('unhandledRejection', onUncaught)
    local.logger.info('stopped')
  }
  // What an output does not take would keep the process.
  if (!(await local.flush())) endProcess(exitCode)
  return exitCode
}

/**
 * Takes over the log's level and form from a changed file or on SIGHUP, which opens the log's file anew as well; a wrong
 * file changes nothing.
 */
function watchSettings(
  settings: Settings,
  source: { flags: Flags; env: NodeJS.ProcessEnv },
  local: LocalLog,
): () => void {
  let timer: NodeJS.Timeout | undefined
  const reload = (): void => {
    loadSettings(source.flags, source.env)
      .then(({ logLevel, logJson }) => {
        local.change({ level: logLevel, json: logJson })
        local.logger.info(`the settings were read again: log level ${logLevel}`)
      })
      .catch((error: unknown) => local.logger.error(`the settings stay as they are: ${errorText(error)}`))
  }
  // Editors write a file in several steps.
  const soon = (): void => {
    clearTimeout(timer)
    timer = setTimeout(reload, 200)
  }
  const onHangup = (): void => {
    local.reopen()
    reload()
  }
  process.on('SIGHUP', onHangup)
  let watcher: FSWatcher | undefined
  try {
    watcher = settings.file === undefined ? undefined : watch(settings.file, { persistent: false }, soon)
    watcher?.on('error', () => undefined)
  } catch (error) {
    local.logger.warn(`changes of ${settings.file} are not noticed: ${errorText(error)}`)
  }
  return () => {
    clearTimeout(timer)
    watcher?.close()
    process.off('SIGHUP', onHangup)
  }
}
