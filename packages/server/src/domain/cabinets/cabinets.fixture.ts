import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Caller } from '#domain/callers/caller.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  type TestCoreOptions,
  testCaller,
} from '#test/support/core.ts'
import type { AclDraft } from './acl.ts'
import { type CabinetDraft, defaultCabinetConfig } from './cabinet.ts'
import { type CabinetOptions, type CabinetParts, composeCabinets } from './compose-cabinets.ts'

/** Key cabinets over a real database with two tenants, `acme` and `beta`. */
export interface CabinetBench extends AsyncDisposable, CabinetParts {
  readonly core: TestCore
}

export async function createCabinetBench(
  options: TestCoreOptions & Partial<CabinetOptions> = {},
): Promise<CabinetBench> {
  const core = await createReadyTestCore(options)
  for (const id of ['acme', 'beta']) await core.tenants.create(platformAdmin, { id, name: id })
  return {
    core,
    ...benchParts(core, options),
    [Symbol.asyncDispose]: () => core[Symbol.asyncDispose](),
  }
}

/** The services once more over the same database, as another process would have them. */
export function benchParts(
  core: TestCore,
  options: Partial<CabinetOptions> & { outboundAllow?: OutboundAllow } = {},
): CabinetParts {
  const { storage, vault, clock, nextId, settings } = core
  const outbound = new OutboundRule(options.outboundAllow ?? { hosts: [], ranges: [] })
  const randomness = systemRandomness
  const okm: CabinetOptions = {
    deviceTrust: { kind: 'open' },
    unclaimedMax: 100,
    auditDestinationUrl: undefined,
    ...options,
  }
  return composeCabinets({ storage, vault, clock, nextId, settings, outbound, randomness, okm })
}

const customerScopes = [
  'okms:write',
  'acls:write',
  'acl-okms:write',
  'firmware:read',
  'audit:subscribe',
] as const

export const acme = testCaller('acme', customerScopes, { surface: 'okm' })
export const beta = testCaller('beta', customerScopes, { surface: 'okm' })
export const firmwareWriter = testCaller(null, ['firmware:write'], { surface: 'okm' })

export const firstPage = { page: 1, resultsPerPage: 30 }

export function cabinetDraft(changes: Partial<CabinetDraft> = {}): CabinetDraft {
  return {
    id: 'OKM3',
    serial: '0203cc1fc4123456',
    config: defaultCabinetConfig,
    active: true,
    online: false,
    userData: {},
    subscribeUrls: {},
    ...changes,
  }
}

export function cabinetUser(changes: Partial<CabinetUser> = {}): CabinetUser {
  return {
    userId: 1001,
    pinHash: 'a1b2c3d4',
    authTimeHours: 8,
    sounder: false,
    sounderDelaySeconds: 0,
    sounderDurationSeconds: 0,
    sounderVolume: 0,
    permissions: [1, 0, 17],
    ...changes,
  }
}

export const vectorLocks = ['0000051a00000005', '0000051a00000007', '0000051a0000000b']

/** The access list of the contract's example and test vector. */
export function vectorAcl(changes: Partial<AclDraft> = {}): AclDraft {
  return {
    id: '5b0f3a0e-6f0e-4f0a-9a54-3c1d8f2b7e11',
    locks: vectorLocks,
    users: [
      cabinetUser(),
      cabinetUser({
        userId: 1002,
        pinHash: '9f8e7d6c',
        authTimeHours: 12,
        sounder: true,
        sounderDelaySeconds: 30,
        sounderDurationSeconds: 60,
        sounderVolume: 2,
        permissions: [1, 1, 1],
      }),
    ],
    userData: { store: '0042' },
    ...changes,
  }
}

/** A cabinet that calls from 10.1.2.3. */
export function device(serial: string): Caller {
  return new Caller({
    type: 'CABINET',
    id: serial,
    address: '10.1.2.3',
    surface: 'okm',
    requestId: '01M7YRRT808A9NYTDXX0X5X0P4',
    tenantId: null,
    scopes: [],
  })
}
