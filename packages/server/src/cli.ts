import { Command, CommanderError } from 'commander'
import type { AuditVerifyOptions } from './commands/audit-verify.ts'
import type { BackupOptions, BackupVerifyOptions } from './commands/backup/backup.ts'
import type { RestoreOptions } from './commands/backup/restore.ts'
import type { CopyOptions } from './commands/copy.ts'
import type { EvidenceVerifyOptions } from './commands/evidence/evidence-verify.ts'
import { exitCodeHelp, exitCodes, failureOf } from './commands/failure.ts'
import type { OtpOptions } from './commands/otp.ts'
import type { OtpListPrintOptions } from './commands/otp-list/print.ts'
import type { OutboxOptions } from './commands/outbox/outbox.ts'
import type { RewrapOptions } from './commands/rewrap/rewrap.ts'
import type { SimulateCabinetOptions } from './commands/simulate/simulate-cabinet.ts'
import type { SimulatePhoneOptions } from './commands/simulate/simulate-phone.ts'
import { Terminal } from './commands/terminal.ts'
import type { TokenImportOptions } from './commands/token-import.ts'

/** Commands load what they need when they run, so that help and small commands answer at once. */
const program = new Command('countersign')
  .description('Self-hosted strong authentication. Every command reads COUNTERSIGN_ variables.')
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText('after', exitCodeHelp)

program
  .command('serve')
  .description('serve until SIGTERM or Ctrl-C; the log goes to standard output, one JSON a line')
  .action(async () => (await import('./commands/serve.ts')).serve())

const config = program.command('config').description('the settings of the environment')

command(config, 'check', 'print the settings, secrets hidden; names all faults at once').action(
  run(async (terminal) => (await import('./commands/config-check.ts')).configCheck(terminal)),
)

command(program, 'migrate', 'bring the configured database up to date').action(
  run(async (terminal) => (await import('./commands/migrate.ts')).migrate(terminal)),
)

command(program, 'copy', 'copy a whole database into an empty one, on the same or the other engine')
  .option(
    '--from <url>',
    'sqlite:<path>, postgres://... or file:<path of a file that holds one>; default: the configured one',
  )
  .requiredOption('--to <url>', 'the same forms; empty, or a copy that was interrupted')
  .addHelpText(
    'after',
    '\nNo server may use either database. An interrupted copy goes on with the same command.\n',
  )
  .action(
    run<CopyOptions>(async (terminal, options) =>
      (await import('./commands/copy.ts')).copy(terminal, options),
    ),
  )

const backup = command(
  program,
  'backup',
  'write the configured database into one encrypted, signed file',
)
  .option('--to <file>', 'must not exist')
  .addHelpText('after', '\nServers may go on working meanwhile.\n')
  .action(
    run<BackupOptions>(async (terminal, options) =>
      (await import('./commands/backup/backup.ts')).backup(terminal, options),
    ),
  )

command(backup, 'verify', 'read a backup to its end and check everything in it')
  .argument('<file>')
  .option('--jwks <file>', 'public keys that were kept elsewhere; one of them must have signed it')
  .action(
    run<BackupVerifyOptions>(async (terminal, options, [file = '']) =>
      (await import('./commands/backup/backup.ts')).backupVerify(terminal, file, options),
    ),
  )

command(program, 'restore', 'check a backup and write it into an empty database')
  .requiredOption('--from <file>', 'the backup')
  .requiredOption(
    '--into <url>',
    'sqlite:<path>, postgres://... or file:<path of a file that holds one>',
  )
  .option('--jwks <file>', 'public keys that were kept elsewhere; one of them must have signed it')
  .action(
    run<RestoreOptions>(async (terminal, options) =>
      (await import('./commands/backup/restore.ts')).restore(terminal, options),
    ),
  )

command(
  program,
  'rewrap',
  'change the master key, or the data keys of the tenants, while servers run',
)
  .option('--new-key-file <file>', 'the master key that follows, base64 of 32 bytes')
  .option('--finish', 'remove what the former master key could open')
  .option('--data-keys', 'make new data keys and seal every secret again')
  .option('--tenant <id>', 'with --data-keys: this tenant only')
  .option(
    '--settle-seconds <n>',
    'with --data-keys: how long servers may need to take up a new key; 0 when none runs',
  )
  .action(
    run<RewrapOptions>(async (terminal, options) =>
      (await import('./commands/rewrap/rewrap.ts')).rewrap(terminal, options),
    ),
  )

const audit = program.command('audit').description('the journal')

command(audit, 'verify', 'check an export of the journal; needs no server and no database')
  .argument('<file>', 'NDJSON as exported; "-" reads standard input')
  .option(
    '--checkpoints <file>',
    'signed checkpoints: one JWS a line, or the pages that the API answers',
  )
  .option('--jwks <file>', 'the public keys of the tenant, so that signatures are checked')
  .action(
    run<AuditVerifyOptions>(async (terminal, options, [file = '']) =>
      (await import('./commands/audit-verify.ts')).auditVerify(terminal, file, options),
    ),
  )

const evidence = program.command('evidence').description('what proves the decision of a user')

command(evidence, 'verify', 'check the evidence of a decision; needs no server and no database')
  .argument('<file>', 'as the API answers it')
  .option('--anchor <root>', "the tenant's root: a certificate in PEM or DER, or its SHA-256")
  .option('--device-key <thumbprint>', 'of the device key, as device.enrolled told it')
  .option('--jwks <file>', 'the public keys of the tenant, for the checkpoint of the journal')
  .option('--export <file>', 'records of the journal, from that of the decision to the checkpoint')
  .option('--customer-jwks <file>', 'the public keys by which the tenant signs JWTs')
  .addHelpText(
    'after',
    '\nEnds with 0 when all of it is proven, 65 when something is refuted, 1 when something could not be looked at.\n',
  )
  .action(
    run<EvidenceVerifyOptions>(async (terminal, options, [file = '']) =>
      (await import('./commands/evidence/evidence-verify.ts')).evidenceVerify(
        terminal,
        file,
        options,
      ),
    ),
  )

const outbox = program.command('outbox').description('what waits for receivers, or was given up')

command(outbox, 'list', 'show messages: kind, target, attempts; never what is in them')
  .requiredOption('--tenant <id>', '_platform for what belongs to no tenant')
  .option('--kind <kind>', 'such as webhook, okm-status, okm-audit, okm-events')
  .option('--status <status>', 'waiting, delivered or failed')
  .option('--id <id>', 'this message')
  .option('--limit <n>', 'how many at most', '100')
  .action(
    run<OutboxOptions>(async (terminal, options) =>
      (await import('./commands/outbox/outbox.ts')).outboxList(terminal, options),
    ),
  )

command(outbox, 'redeliver', 'try again what was given up')
  .requiredOption('--tenant <id>', '_platform for what belongs to no tenant')
  .option('--kind <kind>', 'all of this kind')
  .option('--id <id>', 'this message')
  .option('--all', 'everything that was given up')
  .option('--limit <n>', 'how many at most', '10000')
  .action(
    run<OutboxOptions>(async (terminal, options) =>
      (await import('./commands/outbox/outbox.ts')).outboxRedeliver(terminal, options),
    ),
  )

const token = program.command('token').description('OATH tokens')

command(token, 'import', 'import a seed file: PSKC, DualShield XML or CSV')
  .argument('<file>')
  .requiredOption('--tenant <id>')
  .option('--product <manufacturer/product>', 'for entries that do not name theirs')
  .option('--format <format>', 'PSKC, CSV or DUALSHIELD; default: found out')
  .option('--encoding <encoding>', 'of the secrets in a CSV file: BASE32, HEX or BASE64')
  .option('--key-file <file>', 'the pre-shared key of a PSKC file, in hex')
  .option('--password-file <file>', 'the password of a PSKC file')
  .option('--dry-run', 'say what would happen and change nothing')
  .option('--skip-duplicates', 'leave tokens that are there already as they are')
  .action(
    run<TokenImportOptions>(async (terminal, options, [file = '']) =>
      (await import('./commands/token-import.ts')).tokenImport(terminal, file, options),
    ),
  )

const otpList = program.command('otp-list').description('printed lists of one-time passwords')

command(otpList, 'print', 'make lists through the API of a running server and write their sheets')
  .requiredOption('--tenant <id>')
  .requiredOption('--method <name>', 'the list method')
  .requiredOption('--secret-file <file>', 'secret of a service account with tenant:write')
  .option('--url <origin>', 'of the server', 'http://127.0.0.1:8080')
  .option('--count <n>', 'how many lists', '1')
  .option('--to <folder>', 'a new folder for the sheets, readable by you alone')
  .option('--output <->', '"-": one document to standard output, which must not be a terminal')
  .option('--form <form>', 'pdf, html or csv', 'pdf')
  .option('--paper <paper>', 'a4 or letter', 'a4')
  .option('--title <text>', 'heading; default: the name of the tenant')
  .option('--notice-file <file>', 'a text that is printed above the codes')
  .option('--expires-at <time>', 'such as 2027-01-31T00:00:00Z; default: as the method says')
  .option('--max-age <seconds>')
  .option('--sheets-per-file <n>', 'at most 100', '100')
  .addHelpText(
    'after',
    '\nlists.csv in the folder says which sheet is in which file. Lists of an interrupted run whose codes nobody has are named,\nand are in unprinted.csv.\n',
  )
  .action(
    run<OtpListPrintOptions>(async (terminal, options) =>
      (await import('./commands/otp-list/print.ts')).otpListPrint(terminal, options),
    ),
  )

command(program, 'otp', 'print the current code of a key URI (otpauth://...)')
  .argument(
    '[uri]',
    '"-" reads it from standard input. As an argument others on the machine can see it',
  )
  .option('--file <file>', 'read the key URI from a file')
  .option('--at <time>', 'TOTP: at this moment, ISO 8601 or seconds since 1970')
  .option('--counter <n>', 'HOTP: this counter instead of the one in the URI')
  .action(
    run<OtpOptions>(async (terminal, options, [uri]) =>
      (await import('./commands/otp.ts')).otp(terminal, uri, options),
    ),
  )

const simulate = program.command('simulate').description('devices, towards a server that runs')

command(
  simulate,
  'cabinet',
  'key cabinets: they poll, hold lists, give out keys and upload audit records',
)
  .requiredOption('--url <url>', 'of the server, such as http://127.0.0.1:8080')
  .option('--serial <serial>', 'of the first one; more are counted up from it', '0203cc1fc4000001')
  .option('--count <n>', 'how many; one tells what it does', '1')
  .option('--interval <seconds>', 'between two polls; default: what the server says')
  .option('--seconds <n>', 'how long; default: until it is interrupted')
  .option('--checkout-every <seconds>', 'how often a key is taken at each cabinet, on average')
  .option(
    '--users <numbers>',
    'who takes keys, such as 1001,1002; default: whoever is on the lists',
  )
  .option('--sockets <n>', 'connections of all together', '64')
  .option('--timeout <seconds>', 'for an answer', '10')
  .option('--loss <percent>', 'of the calls that the network loses', '0')
  .option('--eager', 'poll again at once while something differs; a single one always does')
  .option('--readable', 'upload readable events as JSON, once the audit URL is known')
  .option('--register <customer>', 'register the cabinets first')
  .option('--token-file <file>', 'with --register: a token with okms:write')
  .action(
    run<SimulateCabinetOptions>(async (terminal, options) =>
      (await import('./commands/simulate/simulate-cabinet.ts')).simulateCabinet(terminal, options),
    ),
  )

command(simulate, 'phone', 'phones: they enrol, show what waits, approve or reject')
  .option(
    '--enrol <text>',
    'enrol first, with the text of a QR code; "-" reads it from standard input',
  )
  .option('--name <names>', 'which phone; several, such as a,b, wait together', 'phone')
  .option('--state <folder>', 'a file for each phone, with its keys', 'simulated-phones')
  .option('--bio', 'with --enrol: also make a biometric key; using it asks nobody')
  .option('--pin-file <file>', 'the PIN; default: it is asked for, without echo')
  .option('--redeem <text>', 'redeem a code of a portal, its QR text or as typed; "-" reads it')
  .option('--tms', 'with --redeem: a code that was typed starts a transaction')
  .option('--locale <tags>', 'languages of the person, the best first, such as de-AT,en')
  .option('--app-version <version>', 'what the phone says it runs; default: 0.1.0')
  .option('--integrity <hex>', 'and what it says its app measures')
  .option('--approve-all', 'approve without asking')
  .option('--reject-all', 'reject without asking')
  .option('--count <n>', 'end after so many decisions; 0: do not wait for any')
  .option('--seconds <n>', 'end after so long; default: when it is interrupted')
  .option('--properties', 'bring copies of properties up to date, and show all of them')
  .option(
    '--write <text...>',
    'first write properties, such as user/dailyLimit=INTEGER:1000; shows all of them',
  )
  .option('--browser', 'serve the phone as a page for browsers on this machine')
  .option('--url <url>', 'with --browser: of the server', 'http://127.0.0.1:8080')
  .option('--port <port>', 'with --browser: of the page; 0: any', '0')
  .action(
    run<SimulatePhoneOptions>(async (terminal, options) =>
      (await import('./commands/simulate/simulate-phone.ts')).simulatePhone(terminal, options),
    ),
  )

function command(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--json', 'print the result as one JSON document')
    .exitOverride()
}

/** Runs a command and turns what it throws into a message and an exit code. */
function run<Options extends object>(
  work: (terminal: Terminal, options: Options, args: (string | undefined)[]) => Promise<void>,
): (this: Command, ...given: unknown[]) => Promise<void> {
  return async function action() {
    const options = this.optsWithGlobals<Options & { json?: boolean }>()
    const terminal = new Terminal({ isJson: options.json === true, signal: interruption() })
    // What a command waits for may not count as work of the event loop, such as a thread that ends.
    const alive = setInterval(() => {}, 60_000)
    try {
      await work(terminal, options, this.args)
    } catch (error) {
      const { exitCode, message, detail } = failureOf(error)
      if (terminal.isJson) {
        terminal.result({ error: { exitCode, message, ...detail } }, [])
      } else {
        terminal.note(`countersign: ${message}`)
      }
      process.exitCode = exitCode
    } finally {
      clearInterval(alive)
    }
  }
}

/** Aborted by the first Ctrl-C or SIGTERM: work stops where it can go on later. The second one ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return controller.signal
}

try {
  await program.parseAsync(process.argv)
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Commander has said what is wrong; being asked for help is no failure.
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
}
