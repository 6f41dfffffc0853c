import { hotp } from '@countersign/protocol/otp/hotp.ts'
import { OtpauthError, type OtpauthKey, parseOtpauth } from '@countersign/protocol/otp/otpauth.ts'
import { totpStep, totpStepStartMs } from '@countersign/protocol/otp/totp.ts'
import { CommandError, exitCodes } from './failure.ts'
import { readSecretFile } from './settings.ts'
import type { Terminal } from './terminal.ts'

export interface OtpOptions {
  readonly file?: string
  /** ISO 8601, or seconds since the epoch. */
  readonly at?: string
  readonly counter?: string
}

const inputLengthMax = 4_096

/** Prints the code that an authenticator app would show for a key URI. */
export async function otp(
  terminal: Terminal,
  uri: string | undefined,
  options: OtpOptions,
): Promise<void> {
  const key = readKey(await uriText(uri, options))
  const { secret, algorithm, digits } = key
  if (key.type === 'HOTP') {
    if (options.at !== undefined) throw usage('--at belongs to TOTP; this key is HOTP.')
    const counter = readCounter(options.counter) ?? key.counter ?? 0
    const code = hotp({ secret, algorithm, digits, counter })
    terminal.result({ type: 'HOTP', code, counter }, [code])
    return
  }
  if (options.counter !== undefined) throw usage('--counter belongs to HOTP; this key is TOTP.')
  const period = key.period ?? 30
  const step = totpStep(readTime(options.at), period)
  const code = hotp({ secret, algorithm, digits, counter: step })
  const validUntil = new Date(totpStepStartMs(step + 1, period)).toISOString()
  terminal.result({ type: 'TOTP', code, step, validUntil }, [code])
}

async function uriText(uri: string | undefined, { file }: OtpOptions): Promise<string> {
  if ((uri === undefined) === (file === undefined)) {
    throw usage('Give a key URI, or "-" to read it from standard input, or --file.')
  }
  if (file !== undefined) return readSecretFile(file).trim()
  if (uri !== '-') return uri ?? ''
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk
    if (text.length > inputLengthMax) throw usage('The key URI is too long.')
  }
  return text.trim()
}

function readKey(text: string): OtpauthKey {
  try {
    return parseOtpauth(text)
  } catch (error) {
    if (!(error instanceof OtpauthError)) throw error
    throw new CommandError(exitCodes.badData, `The key URI is wrong: ${error.message}.`)
  }
}

function readCounter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const counter = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(counter)) {
    throw usage('--counter must be a whole number from 0 to 2^53 - 1.')
  }
  return counter
}

function readTime(text: string | undefined): number {
  if (text === undefined) return Date.now()
  const timeMs = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (!(timeMs >= 0)) throw usage('--at must be a time such as 2026-11-21T10:00:00Z, or seconds.')
  return timeMs
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}
