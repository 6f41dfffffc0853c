import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { BuiltOperations } from '#http/handler.ts'
import {
  createSigner,
  createTenantSigner,
  deleteSigner,
  deleteTenantSigner,
  getCertificateStatus,
  getSigner,
  getSignerChain,
  getTenantSigner,
  listCertificates,
  listSigners,
  reissueTenantSigner,
  renewSigner,
  revokeSigner,
} from './certificate-authority.ts'
import type { Operations } from './contract.gen.ts'

const certificateAuthority = {
  getTenantSigner,
  createTenantSigner,
  reissueTenantSigner,
  deleteTenantSigner,
  listSigners,
  createSigner,
  getSigner,
  deleteSigner,
  getSignerChain,
  renewSigner,
  revokeSigner,
  listCertificates,
  getCertificateStatus,
} satisfies BuiltOperations<
  Operations,
  | 'getTenantSigner'
  | 'createTenantSigner'
  | 'reissueTenantSigner'
  | 'deleteTenantSigner'
  | 'listSigners'
  | 'createSigner'
  | 'getSigner'
  | 'deleteSigner'
  | 'getSignerChain'
  | 'renewSigner'
  | 'revokeSigner'
  | 'listCertificates'
  | 'getCertificateStatus',
  Core,
  Caller
>

/** What is built, a group for each tag. */
export const operations = { ...certificateAuthority }
