import { type ComposedCore, composeCore } from '../../packages/server/src/compose-core.ts'
import { MasterKey } from '../../packages/server/src/custody/master-key.ts'
import { systemRandomness } from '../../packages/server/src/custody/randomness.ts'
import { Caller } from '../../packages/server/src/domain/callers/caller.ts'
import type { NewToken } from '../../packages/server/src/domain/otp-tokens/otp-token-store.ts'
import { batchSize } from '../../packages/server/src/domain/otp-tokens/token-import-store.ts'
import type { Stores } from '../../packages/server/src/domain/storage.ts'
import { newUser } from '../../packages/server/src/domain/users/user-store.ts'
import { openDatabase } from '../../packages/server/src/storage/database.ts'
import { secretOf, serialOf, userOf } from './codes.ts'
import { note } from './report.ts'

export const tenantId = 'bench'
/** Base64 of 32 bytes; the databases are thrown away. */
export const masterKeyText: string = Buffer.alloc(32, 9).toString('base64')
export const adminToken = 'bench-administrator-token-0123456789'

/** Tokens stored in one transaction. */
const tokensAtOnce = batchSize * 10

/** Wrong codes are measured too: they must not lock the tokens. */
const failuresMax = 100

/** One PIN for all of them: hashing it is what takes time. */
export interface PinnedTokens {
  readonly tokenCount: number
  readonly pin: string
}

/** A database with one tenant, and an account that may verify codes there. */
export interface Installation {
  readonly databaseUrl: string
  readonly apiKey: string
  readonly tokenCount: number
}

/**
 * Makes an installation with HOTP tokens, each with a secret of its own and owned by a user of its own, by the core's
 * own stores: what a million requests would leave, in minutes.
 *
 * @param options.pinned so many of the last tokens get this PIN.
 */
export async function makeInstallation(
  databaseUrl: string,
  options: { tokenCount: number; pinned?: PinnedTokens },
): Promise<Installation> {
  const { tokenCount, pinned } = options
  return withCore(databaseUrl, async (composed) => {
    const { core, platform } = composed
    const caller = Caller.system()
    await platform.ensurePlatform()
    await core.tenants.create(caller, { id: tenantId, name: 'Benchmark' })
    await core.settings.update(caller, tenantId, {
      patch: { lockout: { tokenMaxFailures: failuresMax } },
    })
    const { secret } = await core.serviceAccounts.create(caller, {
      id: 'bench-gateway',
      tenantId,
      scopes: ['verify'],
    })
    await addTokens(composed, { tokenCount, pinned })
    return { databaseUrl, apiKey: secret, tokenCount }
  })
}

/** Opens a database, which no server may have open meanwhile, and builds the core on it as the server does. */
export async function withCore<T>(
  databaseUrl: string,
  work: (composed: ComposedCore) => Promise<T>,
): Promise<T> {
  const database = openDatabase(databaseUrl)
  try {
    await database.migrate()
    const composed = composeCore({
      database,
      masterKey: new MasterKey(Buffer.from(masterKeyText, 'base64')),
      clock: Date.now,
      randomness: systemRandomness,
      publicUrl: () => 'http://127.0.0.1',
      outboundAllow: { hosts: [], ranges: [] },
      authFailuresPerMinute: 0,
      adminToken: undefined,
      observer: {
        countVerification: () => {},
        backgroundFailed: (_work, error) => {
          throw error
        },
      },
    })
    return await work(composed)
  } finally {
    await database.close()
  }
}

async function addTokens(
  { core, storage, nextId, vault, pins }: ComposedCore,
  { tokenCount, pinned }: { tokenCount: number; pinned: PinnedTokens | undefined },
): Promise<void> {
  const pinHash = pinned === undefined ? null : await pins.hash(pinned.pin)
  const firstPinned = tokenCount - (pinned?.tokenCount ?? 0)
  const product = await storage.read.products.findByCodes(tenantId, {
    manufacturerCode: 'CS',
    productCode: 'HOTP',
  })
  if (product === undefined) throw new Error('The tenant has no product for HOTP tokens.')
  const startedAt = performance.now()
  for (let start = 0; start < tokenCount; start += tokensAtOnce) {
    const createdAtMs = core.clock()
    const tokens: NewToken[] = []
    for (let number = start; number < Math.min(tokenCount, start + tokensAtOnce); number++) {
      const id = nextId()
      const place = { tenantId, table: 'otp_token', row: id, column: 'sealed_secret' }
      tokens.push({
        tenantId,
        id,
        productId: product.id,
        repositoryId: null,
        serial: serialOf(number),
        identifier: serialOf(number),
        parameters: { type: 'HOTP', algorithm: 'SHA1', digits: 6, periodSeconds: null },
        status: 'ACTIVE',
        description: null,
        origin: 'IMPORTED',
        startsAtMs: null,
        expiresAtMs: null,
        sealedSecret: await vault.seal(place, secretOf(number)),
        counter: 0,
        driftSteps: 0,
        createdAtMs,
      })
    }
    await storage.transaction(async (stores) => {
      for (let at = 0; at < tokens.length; at += batchSize) {
        await stores.tokenImports.insert(tokens.slice(at, at + batchSize))
      }
      await Promise.all(
        tokens.map((token, index) =>
          addOwner(stores, token, {
            pinHash: start + index >= firstPinned ? pinHash : null,
            nextId,
          }),
        ),
      )
    })
    if ((start / tokensAtOnce) % 200 === 199) {
      const seconds = Math.round((performance.now() - startedAt) / 1000)
      note(`  ${start + tokens.length} of ${tokenCount} tokens after ${seconds} s`)
    }
  }
}

async function addOwner(
  stores: Stores,
  { id, serial, createdAtMs }: NewToken,
  { pinHash, nextId }: { pinHash: string | null; nextId: () => string },
): Promise<void> {
  const userId = userOf(serial)
  const draft = { loginName: userId }
  await stores.users.insert(
    newUser(tenantId, draft, {
      id: userId,
      ulid: nextId(),
      domainKey: 'default',
      loginName: userId,
      passwordHash: null,
      createdAtMs,
    }),
  )
  await stores.assignments.insert({
    tenantId,
    tokenId: id,
    userId,
    id: nextId(),
    isOwner: true,
    status: 'ACTIVE',
    pinHash,
    failureCount: 0,
    lockedUntilMs: null,
    lockReason: null,
    startsAtMs: null,
    expiresAtMs: null,
    usageLimit: 0,
    useCount: 0,
    priority: 0,
    createdAtMs,
    updatedAtMs: createdAtMs,
  })
}
