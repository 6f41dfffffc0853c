import type { Stores } from '../storage.ts'
import { isUserId } from '../users/name-text.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { inOrderOfTrial, type TokenCandidate } from './candidate.ts'
import type {
  TokenReference,
  UnusableReason,
  VerificationReason,
  VerificationRequest,
} from './verification.ts'

/** Nobody has it: a search for it costs what a search for a user without tokens costs. */
const nobody = ''

/** Who and what a request is about. */
export interface Subject {
  readonly userId: string | undefined
  /** In order of trial. */
  readonly candidates: readonly TokenCandidate[]
  /** Set when there is nothing to try. */
  readonly missing:
    | { readonly reason: VerificationReason; readonly unusable?: UnusableReason }
    | undefined
}

/** Finds the user and the tokens that a request may be about, in at most three reads. */
export async function findSubject(
  stores: Stores,
  tenantId: string,
  request: VerificationRequest,
): Promise<Subject> {
  if (!triesTokens(request.methods)) return absent(undefined, 'NO_USABLE_CREDENTIAL')
  if (request.user !== undefined) {
    const userId = await findUserId(stores, tenantId, request.user)
    return findOfUser(stores, tenantId, userId, request.token)
  }
  return request.token === undefined
    ? absent(undefined, 'USER_UNKNOWN')
    : findOwned(stores, tenantId, request.token)
}

function triesTokens(methods: readonly string[] | undefined): boolean {
  return methods === undefined || methods.includes('token')
}

/** An id needs no search of its own: what it holds, or the user's state, tells whether there is such a user. */
async function findUserId(
  stores: Stores,
  tenantId: string,
  user: UserReference,
): Promise<string | undefined> {
  if ('id' in user) return isUserId(user.id) ? user.id : undefined
  return stores.userResolver.findUserId(tenantId, user)
}

async function findOfUser(
  stores: Stores,
  tenantId: string,
  userId: string | undefined,
  token: TokenReference | undefined,
): Promise<Subject> {
  const held = inOrderOfTrial(await stores.candidates.listHeldBy(tenantId, userId ?? nobody))
  if (held.length === 0 || userId === undefined) {
    const state = await stores.candidates.findUserState(tenantId, userId ?? nobody)
    if (state === undefined || userId === undefined) return absent(undefined, 'USER_UNKNOWN')
    if (state.status !== 'ACTIVE') return absent(userId, 'USER_DISABLED')
    return absent(userId, 'NO_USABLE_CREDENTIAL', token === undefined ? undefined : 'not_assigned')
  }
  if (token === undefined) return { userId, candidates: held, missing: undefined }

  const tokenId = await findTokenId(stores, tenantId, token)
  const named = held.filter((candidate) => candidate.tokenId === tokenId)
  return named.length === 0
    ? absent(userId, 'NO_USABLE_CREDENTIAL', 'not_assigned')
    : { userId, candidates: named, missing: undefined }
}

async function findOwned(
  stores: Stores,
  tenantId: string,
  token: TokenReference,
): Promise<Subject> {
  const owned = await listOwned(stores, tenantId, token)
  const [only] = owned
  // A serial that several products have names no token.
  if (only === undefined || owned.length > 1) return absent(undefined, 'NO_USABLE_CREDENTIAL')
  return { userId: only.userId, candidates: [only], missing: undefined }
}

async function listOwned(
  stores: Stores,
  tenantId: string,
  token: TokenReference,
): Promise<readonly TokenCandidate[]> {
  if ('serial' in token && token.product === undefined) {
    return stores.candidates.listOwnedWithSerial(tenantId, token.serial)
  }
  const tokenId = await findTokenId(stores, tenantId, token)
  const owned =
    tokenId === undefined ? undefined : await stores.candidates.findOwned(tenantId, tokenId)
  return owned === undefined ? [] : [owned]
}

/** The token's id; undefined for none, and for a serial that names several. */
async function findTokenId(
  stores: Stores,
  tenantId: string,
  token: TokenReference,
): Promise<string | undefined> {
  if ('id' in token) return token.id
  const { serial, product } = token
  const found = (await stores.candidates.listTokensWithSerial(tenantId, serial)).filter(
    ({ manufacturerCode, productCode }) =>
      product === undefined ||
      (manufacturerCode === product.manufacturerCode && productCode === product.productCode),
  )
  return found.length === 1 ? found[0]?.tokenId : undefined
}

function absent(
  userId: string | undefined,
  reason: VerificationReason,
  unusable?: UnusableReason,
): Subject {
  return {
    userId,
    candidates: [],
    missing: { reason, ...(unusable === undefined ? {} : { unusable }) },
  }
}
