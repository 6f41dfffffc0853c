import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { AppFacts } from '@countersign/device-sdk/app-facts.ts'
import { Device } from '@countersign/device-sdk/device.ts'
import { DeviceError } from '@countersign/device-sdk/device-error.ts'
import { parseEnrolmentPayload } from '@countersign/device-sdk/enrolment-payload.ts'
import { parseNoncePayload } from '@countersign/device-sdk/nonce-payload.ts'
import { FileStorage } from '@countersign/device-sdk/storage/file-storage.ts'
import { CommandError, exitCodes } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { type Habit, type PhoneDecision, PhoneLife, reasonOf } from './phone-life.ts'
import { servePhonePage } from './phone-page-server.ts'
import { PhonePrompt } from './phone-prompt.ts'
import { dealWithProperties, lineOf, readWrites, type ToldProperty } from './phone-properties.ts'
import { type PhoneRedemption, redeemAtPortal } from './phone-redemption.ts'

export interface SimulatePhoneOptions {
  readonly state: string
  readonly name: string
  readonly enrol?: string
  readonly bio?: boolean
  readonly redeem?: string
  readonly tms?: boolean
  readonly pinFile?: string
  readonly locale?: string
  readonly appVersion?: string
  readonly integrity?: string
  readonly approveAll?: boolean
  readonly rejectAll?: boolean
  readonly count?: string
  readonly seconds?: string
  readonly properties?: boolean
  readonly write?: readonly string[]
  readonly browser?: boolean
  readonly url: string
  readonly port: string
}

const phonesMax = 100
const localesMax = 10
const payloadBytesMax = 4_096
/** Fixed when a phone enrols; what may change is said by the options. */
const appIdentity = { name: 'countersign-simulator', platform: 'Node', architecture: 'any' }
const appVersionDefault = '0.1.0'

/** Behaves like phones towards a running server: enrols, shows what waits, approves or rejects. */
export async function simulatePhone(
  terminal: Terminal,
  options: SimulatePhoneOptions,
): Promise<void> {
  if (options.browser === true) return servePhonePage(terminal, options)
  const names = namesOf(options.name)
  const habit = habitOf(options)
  const writes = readWrites(options.write)
  const showsProperties = options.properties === true || writes.length > 0
  let decisionsMax = number('--count', options.count, 0, 1_000_000)
  const seconds = number('--seconds', options.seconds, 1, 31_536_000)
  const locales = localesOf(options.locale)
  const app = appOf(options)
  if (options.redeem !== undefined && names.length > 1) throw usage('--redeem is for one phone')
  const isAsking = decisionsMax !== 0 || options.redeem !== undefined
  if (habit === 'ask' && isAsking && !process.stdin.isTTY) {
    throw usage('there is no terminal to ask at: use --approve-all or --reject-all')
  }
  const prompt = new PhonePrompt(terminal)
  const pin =
    options.pinFile === undefined ? undefined : readFileSync(options.pinFile, 'utf8').trim()
  mkdirSync(options.state, { recursive: true, mode: 0o700 })
  const decisions: PhoneDecision[] = []
  const properties: ToldProperty[] = []
  const redemptions: PhoneRedemption[] = []
  const ending = new AbortController()
  const around = {
    prompt,
    habit,
    pin,
    say: (text: string) => terminal.note(text),
    onDecision: (decision: PhoneDecision) => {
      decisions.push(decision)
      if (decisions.length === decisionsMax) ending.abort()
    },
  }
  const devices: [string, Device][] = []
  try {
    for (const name of names) {
      const device = await openPhone(name, terminal, options, { prompt, pin, locales, app })
      terminal.note(
        `${name}: device ${device.deviceId} of ${device.userId}, ${device.tenantId}, at ${device.server}`,
      )
      devices.push([name, device])
      if (showsProperties) {
        const told = await dealWithProperties(name, device, writes)
        for (const property of told) terminal.note(`${name}: ${lineOf(property)}`)
        properties.push(...told)
      }
    }
    const [first] = devices
    if (options.redeem !== undefined && first !== undefined) {
      const [name, device] = first
      const code = await textOf(options.redeem, 'code of a portal')
      const payload = parseNoncePayload(code, device, options.tms ? 'TMS_NONCE' : 'LOGIN_NONCE')
      const redeemed = await redeemAtPortal(name, device, payload, {
        ...around,
        signal: terminal.signal,
      })
      redemptions.push(redeemed)
      // The transaction that it started is waited for, and nothing else unless somebody wants to.
      decisionsMax ??= redeemed.approvalId === undefined ? 0 : 1
    }
    if (decisionsMax !== 0) {
      const stops = [terminal.signal, ending.signal]
      if (seconds !== undefined) stops.push(AbortSignal.timeout(seconds * 1_000))
      const signal = AbortSignal.any(stops)
      const lives = devices.map(([name, device]) => new PhoneLife(name, device, around).run(signal))
      // A phone that can do nothing any more ends the command, not only itself.
      await Promise.all(lives).finally(() => ending.abort())
    }
  } catch (error) {
    throw failureOfPhone(error)
  }
  const phones = devices.map(([name, { deviceId, userId, tenantId, server }]) => ({
    name,
    deviceId,
    userId,
    tenantId,
    server,
  }))
  const listed = showsProperties ? { properties } : {}
  const redeemed = options.redeem === undefined ? {} : { redemptions }
  terminal.result({ phones, decisions, ...listed, ...redeemed }, [
    `phones: ${phones.length}, decisions: ${decisions.length}`,
  ])
}

/** The phone of a file; with `--enrol` a new one. A certificate is got as soon as there is a PIN to ask with. */
async function openPhone(
  name: string,
  terminal: Terminal,
  options: SimulatePhoneOptions,
  {
    prompt,
    pin,
    locales,
    app,
  }: {
    prompt: PhonePrompt
    pin: string | undefined
    locales: readonly string[] | undefined
    app: AppFacts
  },
): Promise<Device> {
  const storage = new FileStorage(resolve(join(options.state, `${name}.json`)))
  if (options.enrol === undefined) {
    const device = await Device.open({ storage, app })
    if (device === undefined) throw usage(`${name} is not enrolled: use --enrol`)
    if (locales !== undefined) await device.update({ locales })
    return device
  }
  const payload = parseEnrolmentPayload(await textOf(options.enrol, 'enrolment code'))
  terminal.note(`${name}: enrolling with ${payload.server} for the tenant ${payload.tenantId}`)
  const isAsked = pin === undefined && options.bio !== true
  if (isAsked && !process.stdin.isTTY) throw usage('without a terminal use --pin-file or --bio')
  const chosen = isAsked ? await prompt.pin(terminal.signal) : pin
  const device = await Device.enrol({
    payload,
    storage,
    app,
    ...(chosen === undefined ? {} : { pin: chosen }),
    biometric: options.bio === true,
    ...(locales === undefined ? {} : { locales }),
    device: { name: `Simulated ${name}`, osName: 'Node', osVersion: process.versions.node },
  })
  await device.login({
    factor: chosen === undefined ? { type: 'bio' } : { type: 'pin', pin: chosen },
  })
  try {
    await device.certificates.ensure('AST_DEVICE', { signal: terminal.signal, waitMs: 30_000 })
  } catch (error) {
    if (!(error instanceof DeviceError) || error.advice === 'distrust') throw error
    terminal.note(`${name}: no certificate. ${reasonOf(error)}`)
  }
  return device
}

async function textOf(given: string, what: string): Promise<string> {
  const text = given === '-' ? await readAll(process.stdin) : given
  if (text.length > payloadBytesMax) throw usage(`this is no ${what}`)
  return text
}

function namesOf(text: string): readonly string[] {
  const names = text.split(',')
  if (
    names.length > phonesMax ||
    !names.every((name) => /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
  ) {
    throw usage(`--name takes up to ${phonesMax} names of letters, digits, - and _`)
  }
  if (new Set(names).size !== names.length) throw usage('--name has a name twice')
  return names
}

function habitOf({ approveAll, rejectAll, enrol, name }: SimulatePhoneOptions): Habit {
  if (approveAll === true && rejectAll === true) throw usage('either --approve-all or --reject-all')
  if (enrol !== undefined && name.includes(',')) throw usage('--enrol is for one phone')
  if (approveAll === true) return 'approve'
  return rejectAll === true ? 'reject' : 'ask'
}

/** What a phone says of itself may be wrong, but not malformed. */
function appOf({ appVersion, integrity }: SimulatePhoneOptions): AppFacts {
  const versionStr = appVersion ?? appVersionDefault
  if (!/^\d{1,7}\.\d{1,3}\.\d{1,10}$/.test(versionStr)) throw usage('--app-version takes 1.2.3')
  if (integrity === undefined) return { ...appIdentity, versionStr }
  if (!/^([0-9a-f]{2}){16,64}$/.test(integrity)) {
    throw usage('--integrity takes 16 to 64 bytes in lower-case hex')
  }
  return { ...appIdentity, versionStr, integrity }
}

function localesOf(text: string | undefined): readonly string[] | undefined {
  const locales = text?.split(',')
  const isTag = (tag: string) => tag.length <= 64 && /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(tag)
  if (locales !== undefined && (locales.length > localesMax || !locales.every(isTag))) {
    throw usage(`--locale takes up to ${localesMax} tags such as de-AT, separated by commas`)
  }
  return locales
}

function number(
  option: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw usage(`${option} must be a whole number from ${min} to ${max}`)
  }
  return value
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}

function failureOfPhone(error: unknown): unknown {
  if (!(error instanceof DeviceError)) return error
  const exitCode =
    error.code === 'unreachable'
      ? exitCodes.unavailable
      : error.code === 'payload_invalid'
        ? exitCodes.usage
        : exitCodes.failure
  const detail = { code: error.code, advice: error.advice }
  return new CommandError(exitCode, reasonOf(error), { cause: error, detail })
}
