/** Finds revoked signers whose key is still there, in every tenant. */
export function signerClosing(): string[] {
  return [
    `create index certificate_issuer_closing on certificate_issuer (updated_at)
      where state = 'REVOKED' and kid is not null`,
  ]
}
