import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotp } from '@countersign/protocol/otp/hotp.ts'
import { MasterKey } from '#custody/master-key.ts'
import { Caller } from '#domain/callers/caller.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import { openDatabase } from '#storage/database.ts'
import type { ComposedCore } from '../../src/compose-core.ts'
import { composeTestCore } from '../support/composed.ts'
import type { TestEngine } from '../support/core.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { ServerProcess, startServer } from '../support/server-process.ts'

export const tenantId = 'acme'
export const tenantPath = `/api/v1/tenants/${tenantId}`
export const verifyPath = `${tenantPath}/verify`

/** A token with its secret known, held by a user of its own. */
export interface SeededToken {
  readonly id: string
  readonly serial: string
  readonly userId: string
  readonly type: 'HOTP' | 'TOTP'
  /** The code at a counter, or at a step. */
  code(position: number): string
}

export interface Seeds {
  /** The secret of each service account, by its scopes. */
  readonly secrets: { readonly admin: string; readonly verifier: string; readonly platform: string }
  readonly hotp: readonly SeededToken[]
  readonly totp: readonly SeededToken[]
}

export interface InstallationOptions {
  readonly engine: TestEngine
  readonly hotpCount?: number
  readonly totpCount?: number
  /** Makes more of it. */
  readonly fill?: (core: ComposedCore) => Promise<void>
  /** An empty PostgreSQL database; absent: one on the test run's server. */
  readonly database?: TestDatabase
  /** Where the SQLite file lies; absent: in a folder of its own. */
  readonly folder?: string
}

/** A database with one tenant, its accounts and tokens, on which servers can be started. */
export interface Installation extends AsyncDisposable {
  readonly engine: TestEngine
  readonly seeds: Seeds
  readonly databaseUrl: string
  readonly env: Readonly<Record<string, string>>
  /** A server that serves it; ended with the installation, unless before. */
  start(
    env?: Readonly<Record<string, string>>,
    launcher?: readonly string[],
  ): Promise<ServerProcess>
  /** As `start`, without waiting. */
  spawn(env?: Readonly<Record<string, string>>, launcher?: readonly string[]): ServerProcess
}

/** The master key of every installation here. */
export const masterKeyText: string = Buffer.alloc(32, 9).toString('base64')

export async function createInstallation(options: InstallationOptions): Promise<Installation> {
  const { engine } = options
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'countersign-e2e-'))
  const database = engine === 'postgres' ? await emptyPostgres(options) : undefined
  const databaseUrl = database?.url ?? `sqlite:${join(folder, 'data', 'countersign.db')}`
  const remove = async (): Promise<void> => {
    await database?.drop()
    rmSync(folder, { recursive: true, force: true })
  }
  const seeds = await seed(databaseUrl, options).catch(async (error: unknown) => {
    await remove()
    throw error
  })
  const env = {
    COUNTERSIGN_DATABASE_URL: databaseUrl,
    COUNTERSIGN_MASTER_KEY: masterKeyText,
    COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '0',
    COUNTERSIGN_DEVICE_REQUESTS_PER_MINUTE: '0',
  }
  const servers: ServerProcess[] = []
  const optionsOf = (more = {}, launcher: readonly string[] = []) => ({
    env: { ...env, ...more },
    folder,
    launcher,
  })
  return {
    engine,
    seeds,
    databaseUrl,
    env,
    async start(more, launcher) {
      const server = await startServer(optionsOf(more, launcher))
      servers.push(server)
      return server
    },
    spawn(more, launcher) {
      const server = new ServerProcess(optionsOf(more, launcher))
      servers.push(server)
      return server
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
      await remove()
    },
  }
}

async function emptyPostgres({ database }: InstallationOptions): Promise<TestDatabase> {
  if (database !== undefined) return database
  // Knows the test run, which programs that run by themselves do not have.
  const { createTestDatabase } = await import('../support/postgres.ts')
  return createTestDatabase()
}

/** Somebody who has authenticated already; of the platform when the tenant is null. */
export function seeder(home: string | null, scopes: readonly Scope[]): Caller {
  return new Caller({
    type: 'SERVICE_ACCOUNT',
    id: 'seeder',
    address: null,
    surface: 'native',
    requestId: null,
    tenantId: home,
    scopes,
  })
}

async function seed(databaseUrl: string, options: InstallationOptions): Promise<Seeds> {
  const { hotpCount = 1, totpCount = 0 } = options
  await using composed = await openCore(databaseUrl)
  const { core } = composed
  await composed.platform.ensurePlatform()
  const platformAdmin = seeder(null, ['platform:admin'])
  await core.tenants.create(platformAdmin, { id: tenantId, name: 'Acme Bank' })
  const account = async (id: string, home: string | null, scopes: readonly Scope[]) => {
    const draft = { id, tenantId: home, scopes }
    return (await core.serviceAccounts.create(platformAdmin, draft)).secret
  }
  const secrets = {
    admin: await account('acme-admin', tenantId, [
      'tenant:write',
      'verify',
      'audit:read',
      'okms:write',
      'acls:write',
      'acl-okms:write',
    ]),
    verifier: await account('acme-verifier', tenantId, ['verify']),
    platform: await account('operations', null, ['platform:admin']),
  }
  const seeds = {
    secrets,
    hotp: await addTokens(composed, 'HOTP', hotpCount),
    totp: await addTokens(composed, 'TOTP', totpCount),
  }
  await options.fill?.(composed)
  return seeds
}

async function addTokens(
  { core }: ComposedCore,
  type: 'HOTP' | 'TOTP',
  count: number,
): Promise<SeededToken[]> {
  const admin = seeder(tenantId, ['tenant:write'])
  const tokens: SeededToken[] = []
  for (let number = 1; number <= count; number++) {
    const userId = `${type.toLowerCase()}-user-${number}`
    await core.users.create(admin, tenantId, { id: userId, loginName: userId })
    const secret = randomBytes(20)
    const { token } = await core.enrolment.enrol(admin, tenantId, {
      type,
      serial: `${type}-${number}`,
      secret: { encoding: 'HEX', value: secret.toString('hex') },
      user: { id: userId },
    })
    tokens.push({
      id: token.id,
      serial: token.serial,
      userId,
      type,
      code: (counter) => hotp({ secret, algorithm: 'SHA1', digits: 6, counter }),
    })
  }
  return tokens
}

/** The core over a database that no server has open, as the server composes it. */
export async function openCore(databaseUrl: string): Promise<ComposedCore & AsyncDisposable> {
  const database = openDatabase(databaseUrl)
  await database.migrate()
  const masterKey = new MasterKey(Buffer.from(masterKeyText, 'base64'))
  const composed = composeTestCore(database, { masterKey })
  return { ...composed, [Symbol.asyncDispose]: () => database.close() }
}
