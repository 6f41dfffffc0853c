import type { Stores } from '../storage.ts'
import { isUserId } from '../users/name-text.ts'
import type { UserReference } from '../users/user-resolver.ts'
import { type Candidate, inOrderOfTrial, type TokenCandidate } from './candidate.ts'
import type { ListCandidate } from './list-candidate.ts'
import type { ListRestriction } from './list-search.ts'
import type {
  TokenReference,
  UnusableReason,
  VerificationReason,
  VerificationRequest,
} from './verification.ts'

const allMethods: readonly string[] = ['token', 'list']

/** The method of a request that names the lists of one kind. */
export function listMethod(name: string): string {
  return `list:${name}`
}

/** Nobody has it: a search for it costs what a search for a user without tokens costs. */
const nobody = ''

/** Who and what a request is about. */
export interface Subject {
  readonly userId: string | undefined
  /** In order of trial. */
  readonly candidates: readonly Candidate[]
  /** Set when there is nothing to try. */
  readonly missing:
    | { readonly reason: VerificationReason; readonly unusable?: UnusableReason }
    | undefined
}

/** Finds the user and what a request may be about, in at most four reads. */
export function findSubject(
  stores: Stores,
  tenantId: string,
  request: VerificationRequest,
  nowMs: number,
): Promise<Subject> {
  return request.token === undefined
    ? findByUser(stores, tenantId, request, nowMs)
    : findByToken(stores, tenantId, request, request.token)
}

async function findByUser(
  stores: Stores,
  tenantId: string,
  { user, methods = allMethods, list: restriction }: VerificationRequest,
  nowMs: number,
): Promise<Subject> {
  if (user === undefined) return absent(undefined, 'USER_UNKNOWN')
  const userId = await findUserId(stores, tenantId, user)
  return findOfUser(stores, tenantId, userId, { methods, restriction, nowMs })
}

/** A token that is named is all there is to try. */
async function findByToken(
  stores: Stores,
  tenantId: string,
  { user, methods = allMethods }: VerificationRequest,
  token: TokenReference,
): Promise<Subject> {
  if (!methods.includes('token')) return absent(undefined, 'NO_USABLE_CREDENTIAL')
  if (user !== undefined) {
    return findNamed(stores, tenantId, await findUserId(stores, tenantId, user), token)
  }
  const [only, ...others] = await listOwned(stores, tenantId, token)
  // A serial that several products have names no token.
  if (only === undefined || others.length > 0) return absent(undefined, 'NO_USABLE_CREDENTIAL')
  return { userId: only.userId, candidates: [only], missing: undefined }
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

/** Everything of the user that the methods name, in their order. */
async function findOfUser(
  stores: Stores,
  tenantId: string,
  userId: string | undefined,
  search: {
    methods: readonly string[]
    restriction: ListRestriction | undefined
    nowMs: number
  },
): Promise<Subject> {
  const { methods, restriction, nowMs } = search
  const holder = userId ?? nobody
  const [tokens, lists] = await Promise.all([
    methods.includes('token') ? stores.candidates.listHeldBy(tenantId, holder) : [],
    methods.some((method) => method !== 'token')
      ? stores.listCandidates.listHeldBy(tenantId, holder, nowMs)
      : [],
  ])
  const ofRequest = lists.filter((candidate) => hasList(candidate, restriction?.id))
  const candidates = inOrderOfMethods(methods, inOrderOfTrial(tokens), ofRequest)
  if (candidates.length > 0 && userId !== undefined)
    return { userId, candidates, missing: undefined }
  return whyNothing(stores, tenantId, userId)
}

/** The one token that is named, if the user holds it. */
async function findNamed(
  stores: Stores,
  tenantId: string,
  userId: string | undefined,
  token: TokenReference,
): Promise<Subject> {
  const held = inOrderOfTrial(await stores.candidates.listHeldBy(tenantId, userId ?? nobody))
  if (held.length === 0 || userId === undefined) {
    return whyNothing(stores, tenantId, userId, 'not_assigned')
  }
  const tokenId = await findTokenId(stores, tenantId, token)
  const named = held.filter((candidate) => candidate.tokenId === tokenId)
  return named.length === 0
    ? absent(userId, 'NO_USABLE_CREDENTIAL', 'not_assigned')
    : { userId, candidates: named, missing: undefined }
}

async function whyNothing(
  stores: Stores,
  tenantId: string,
  userId: string | undefined,
  unusable?: UnusableReason,
): Promise<Subject> {
  const state = await stores.candidates.findUserState(tenantId, userId ?? nobody)
  if (state === undefined || userId === undefined) return absent(undefined, 'USER_UNKNOWN')
  if (state.status !== 'ACTIVE') return absent(userId, 'USER_DISABLED')
  return absent(userId, 'NO_USABLE_CREDENTIAL', unusable)
}

function hasList({ active, waiting }: ListCandidate, id: string | undefined): boolean {
  return id === undefined || active?.id === id || waiting?.id === id
}

/** A candidate that several methods name comes where the first of them has it. */
function inOrderOfMethods(
  methods: readonly string[],
  tokens: readonly TokenCandidate[],
  lists: readonly ListCandidate[],
): Candidate[] {
  const named = methods.flatMap((method): readonly Candidate[] => {
    if (method === 'token') return tokens
    if (method === 'list') return lists
    return lists.filter((candidate) => method === listMethod(candidate.method))
  })
  return [...new Set(named)]
}

/** As the owner holds it; several for a serial that several products have. */
function listOwned(
  stores: Stores,
  tenantId: string,
  token: TokenReference,
): Promise<readonly TokenCandidate[]> {
  return 'serial' in token && token.product === undefined
    ? stores.candidates.listOwnedWithSerial(tenantId, token.serial)
    : listOwnedOne(stores, tenantId, token)
}

async function listOwnedOne(
  stores: Stores,
  tenantId: string,
  token: TokenReference,
): Promise<readonly TokenCandidate[]> {
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
