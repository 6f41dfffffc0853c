/** Finds a tenant's keys of one purpose, newest first: a tenant may have a thousand for other things. */
export function signingKeyPurpose(): string[] {
  return [
    'create index signing_key_purpose on signing_key (tenant_id, purpose, created_at desc, kid)',
  ]
}
