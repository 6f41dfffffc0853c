import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Logger } from 'pino'
import { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { MasterKeyMismatchError } from '#domain/tenants/platform-bootstrap.ts'
import { type App, createApp } from './app.ts'
import { ConfigError, readConfig, type Settings } from './config.ts'
import { createLogger } from './logging.ts'
import { MasterKeyFileError, readOrMakeMasterKey } from './master-key-file.ts'

/** sysexits.h: something is wrong with the configuration. */
export const exitConfiguration = 78
const exitFailure = 1
/**
 * How much the heap may grow by before it is collected again; V8's own choice is up to threefold. Over PostgreSQL requests
 * wait longer, and more of them grow old; there is no page cache in this process then, which leaves room.
 */
const heapGrowthPercent = { sqlite: 20, postgres: 60 }

/** Serves until a signal comes; see docs/contracts/platform.md, section 1, for everything it says and does. */
export async function runServer(): Promise<void> {
  const settings = readSettings()
  if (settings === undefined) return
  const { config, secrets, warnings } = settings
  // The old generation is mostly what outlived its request by a little: collected early, it takes a third of the room.
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent[config.database.engine]}`)
  const logger = createLogger({ level: config.logLevel, node: config.nodeId })
  for (const warning of warnings) logger.warn(warning)

  let app: App | undefined
  try {
    const masterKey = openMasterKey(settings)
    app = await createApp({ config, secrets, masterKey, logger })
    const administrator = await app.prepare()
    if (administrator !== undefined) logger.info(administrator, 'administrator created')
    app.metrics.watchProcess()
    await app.http.ready()
    collectGarbage()
    const url = await app.listen()
    logger.info({ url, version: app.version }, 'listening')
  } catch (error) {
    // Said first: closing what was half opened may fail or wait for what is broken.
    exitAfter(logger, error)
    await app?.close().catch(() => {})
    return
  }
  stopOnSignal(app, logger, config.shutdownSeconds)
}

/**
 * Gives back what only the start needed, 25 MiB, before the first request comes: V8 would collect it under load. Node has
 * no other way to ask for that than the function of `--expose-gc`.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as NodeJS.GCFunction
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

function readSettings(): Settings | undefined {
  try {
    return readConfig(process.env, (path) => readFileSync(path, 'utf8'))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const logger = createLogger({ level: 'fatal', node: hostname() })
    logger.fatal({ faults: error.faults }, 'configuration invalid')
    process.exitCode = exitConfiguration
    return undefined
  }
}

function openMasterKey({ config, secrets }: Settings): MasterKey {
  if (secrets.masterKey !== undefined) return new MasterKey(secrets.masterKey.reveal())
  if (config.masterKeyFile === undefined) throw new MasterKeyFileError('There is no master key.')
  return readOrMakeMasterKey(config.masterKeyFile, systemRandomness)
}

function exitAfter(logger: Logger, error: unknown): void {
  if (error instanceof MasterKeyMismatchError || error instanceof MasterKeyFileError) {
    const problem =
      error instanceof MasterKeyMismatchError ? 'does not fit the database' : error.message
    logger.fatal(
      { faults: [{ variable: 'COUNTERSIGN_MASTER_KEY', problem }] },
      'configuration invalid',
    )
    process.exitCode = exitConfiguration
    return
  }
  logger.fatal({ err: error }, 'start failed')
  process.exitCode = exitFailure
}

function stopOnSignal(app: App, logger: Logger, drainSecondsMax: number): void {
  let isStopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) return
    isStopping = true
    logger.info({ signal }, 'stopping')
    const deadline = setTimeout(() => {
      logger.warn('requests were still running at the end of the drain')
      process.exit(0)
    }, drainSecondsMax * 1000)
    app.close().then(
      () => {
        clearTimeout(deadline)
        logger.info('stopped')
        process.exitCode = 0
      },
      (error: unknown) => {
        logger.fatal({ err: error }, 'stop failed')
        process.exit(exitFailure)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

if (import.meta.main) await runServer()
