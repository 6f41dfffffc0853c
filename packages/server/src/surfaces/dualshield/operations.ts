import type { Caller } from '#domain/callers/caller.ts'
import type { BuiltOperations } from '#http/handler.ts'
import { authListTokens, authLogon, authVerify } from './auth-verify.ts'
import type { Operations } from './contract.gen.ts'
import { domainCreate, domainGet, domainSearch } from './domain.ts'
import type { DualshieldCore } from './endpoint.ts'
import { oauthToken } from './oauth.ts'
import { productCreate, productGet, productSearch } from './product.ts'
import { provisionInspect, provisionRedeem } from './provisioning.ts'
import { repositoryCreate, repositoryGet, repositorySearch } from './repository.ts'
import { tokenBatchAssignTokens } from './token/batch.ts'
import { tokenGetDownloadUrl, tokenRetrieveCredential } from './token/download.ts'
import { tokenImport } from './token/import.ts'
import {
  tokenConfine,
  tokenCreate,
  tokenDelete,
  tokenRelease,
  tokenReset,
  tokenSet,
  tokenSyncToken,
} from './token/lifecycle.ts'
import { tokenGet, tokenSearch } from './token/search.ts'
import {
  tokenAssignmentCreate,
  tokenAssignmentGet,
  tokenAssignmentGetTokenQRCode,
  tokenAssignmentSearch,
  tokenAssignmentSet,
} from './token-assignment.ts'
import { userCreate, userDelete, userGet, userSearch, userSet } from './user.ts'

/** Every operation of the contract. */
export const operations = {
  tokenCreate,
  tokenDelete,
  tokenReset,
  tokenConfine,
  tokenRelease,
  tokenImport,
  tokenGetDownloadUrl,
  tokenRetrieveCredential,
  tokenSyncToken,
  tokenBatchAssignTokens,
  tokenGet,
  tokenSet,
  tokenSearch,
  tokenAssignmentCreate,
  tokenAssignmentGet,
  tokenAssignmentSet,
  tokenAssignmentSearch,
  tokenAssignmentGetTokenQRCode,
  domainCreate,
  domainGet,
  domainSearch,
  userCreate,
  userGet,
  userSet,
  userSearch,
  userDelete,
  productCreate,
  productGet,
  productSearch,
  repositoryCreate,
  repositoryGet,
  repositorySearch,
  authVerify,
  authLogon,
  authListTokens,
  oauthToken,
  provisionInspect,
  provisionRedeem,
} satisfies BuiltOperations<Operations, keyof Operations, DualshieldCore, Caller>
