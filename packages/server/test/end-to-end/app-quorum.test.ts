import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Device } from '@countersign/device-sdk/device.ts'
import { DeviceError } from '@countersign/device-sdk/device-error.ts'
import { MemoryStorage } from '@countersign/device-sdk/storage/memory-storage.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { createPhoneScene, type PhoneScene } from '#test/support/phone-scene.ts'

const appName = 'countersign-simulator'
const ours = 'aa'.repeat(32)
const forged = 'bb'.repeat(32)

let scene: PhoneScene
let folder = ''
let token = ''

beforeAll(async () => {
  scene = await createPhoneScene()
  folder = mkdtempSync(join(tmpdir(), 'countersign-quorum-'))
  const account = { tenantId: 'acme', description: 'portal', scopes: ['ast:write'] }
  token = String((await scene.call('POST', '/service-accounts', account)).secret)
}, 60_000)
afterAll(async () => {
  await scene[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** Calls AST as the portal does. @returns the body, or where what was made is. */
async function ast(method: string, path: string, body?: object) {
  const response = await fetch(`${scene.url}/ast/v1/tenants/acme${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? { location: response.headers.get('location') ?? '' } : JSON.parse(text)
}

/** A device by the SDK. @returns `ok`, or the code under which it was refused. */
async function enrol(versionStr: string, integrity: string): Promise<string> {
  const app = { name: appName, platform: 'Node', architecture: 'any', versionStr, integrity }
  const payload = await scene.newCode()
  const request = { payload, storage: new MemoryStorage(), app, biometric: true }
  try {
    await Device.enrol(request)
    return 'ok'
  } catch (error) {
    return error instanceof DeviceError ? error.code : String(error)
  }
}

/** A phone at the command line. @returns what it says of a refusal. */
async function refusalOf(...args: readonly string[]): Promise<unknown> {
  const state = join(folder, 'phones')
  const end = await runCommand(
    [
      'simulate',
      'phone',
      '--json',
      '--state',
      state,
      '--enrol',
      '-',
      '--bio',
      '--count',
      '0',
      ...args,
    ],
    { stdin: await scene.newCode(), cwd: folder },
  )
  expect(end.code, end.stdout).toBeGreaterThan(0)
  return documentOf(end).error
}

describe('a version, a quorum and simulated devices', () => {
  test('a version that nobody made is refused', async () => {
    await ast('POST', `/apps/${appName}`, { categories: ['tms'] })
    expect(await enrol('0.9.0', ours)).toBe('ok')
    const version = { appName, platform: 'Node', registerUserId: 'nobody', versionStr: '1.0.0' }
    await ast('POST', '/versions', { ...version, isCheckIntegrity: true })
    expect(await enrol('0.9.0', ours)).toBe('version_unknown')
    expect(await enrol('1.0.0', ours)).toBe('app_not_registered')
  }, 30_000)

  test('three devices report one value: it counts, and a forged app stays outside', async () => {
    await ast('POST', '/policies/crowd', { type: 'quorum', parameters: { quorum: 3 } })
    await ast('POST', '/policies/crowd/assignments', { appName })
    for (const value of [forged, ours, ours]) expect(await enrol('1.0.0', value)).toBe('ok')
    const [before] = (await ast('GET', '/versions')).data
    expect(before.architectureIntegrities).toEqual([])
    expect(await enrol('1.0.0', ours)).toBe('ok')
    const [after] = (await ast('GET', '/versions')).data
    expect(after.architectureIntegrities).toMatchObject([
      { architectureName: 'any', integrity: ours, registeredBy: 'quorum' },
    ])
    expect(await enrol('1.0.0', forged)).toBe('integrity_mismatch')
    expect(await enrol('1.0.0', ours)).toBe('ok')
  }, 30_000)

  test('the phone tells whoever holds it why it is refused', async () => {
    expect(await refusalOf('--app-version', '1.0.0', '--integrity', forged)).toMatchObject({
      code: 'integrity_mismatch',
      advice: 'stop',
      message: expect.stringContaining('The integrity value is not the registered one'),
    })
    expect(await refusalOf('--integrity', 'a screenshot')).toMatchObject({ exitCode: 2 })
  }, 60_000)
})
