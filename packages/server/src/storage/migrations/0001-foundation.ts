import type { ColumnTypes } from '../dialect.ts'

/** Tenants and their keys, callers, users, OATH tokens, the journal. `schema.ts` explains the columns. */
export function foundation(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'platform_value',
      `
      tenant_id ${text} not null, name ${text} not null, value ${text} not null,
      primary key (tenant_id, name)`,
    ),
    table(
      'lease',
      `
      tenant_id ${text} not null, name ${text} not null, holder ${text} not null, until_ms ${integer} not null,
      primary key (tenant_id, name)`,
    ),
    table(
      'tenant',
      `
      tenant_id ${text} not null primary key, folded_id ${text} not null, number ${integer} not null,
      name ${text} not null, status ${text} not null, settings ${text} not null,
      settings_version ${integer} not null, settings_updated_at ${integer} not null,
      created_at ${integer} not null, updated_at ${integer} not null`,
    ),
    'create unique index tenant_folded on tenant (folded_id)',
    'create unique index tenant_number on tenant (number)',
    table(
      'tenant_key',
      `
      tenant_id ${text} not null, version ${integer} not null, master_key_id ${text} not null,
      wrapped ${bytes} not null, created_at ${integer} not null,
      primary key (tenant_id, version, master_key_id)`,
    ),
    table(
      'signing_key',
      `
      tenant_id ${text} not null, kid ${text} not null, purpose ${text} not null, public_jwk ${text} not null,
      sealed_private ${bytes} not null, created_at ${integer} not null, retired_at ${integer},
      primary key (tenant_id, kid)`,
    ),

    table(
      'service_account',
      `
      tenant_id ${text} not null, id ${text} not null, ulid ${text} not null, description ${text} not null,
      scopes ${text} not null, enabled ${integer} not null, expires_at ${integer},
      allowed_addresses ${text} not null, secret_hash ${text} not null, previous_secret_hash ${text},
      previous_valid_until ${integer}, created_at ${integer} not null, updated_at ${integer} not null,
      secret_rotated_at ${integer} not null, last_used_at ${integer},
      primary key (tenant_id, id)`,
    ),
    'create unique index service_account_id on service_account (id)',
    'create unique index service_account_ulid on service_account (tenant_id, ulid)',
    'create index service_account_created on service_account (ulid)',
    'create unique index service_account_secret on service_account (secret_hash)',
    'create index service_account_previous on service_account (previous_secret_hash) where previous_secret_hash is not null',
    table(
      'service_account_certificate',
      `
      tenant_id ${text} not null, account_id ${text} not null, thumbprint ${text} not null,
      primary key (tenant_id, account_id, thumbprint)`,
    ),
    'create unique index certificate_thumbprint on service_account_certificate (thumbprint)',
    table(
      'trusted_issuer',
      `
      tenant_id ${text} not null, id ${text} not null, ulid ${text} not null, issuer ${text} not null,
      document ${text} not null, enabled ${integer} not null, created_at ${integer} not null,
      updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index trusted_issuer_issuer on trusted_issuer (tenant_id, issuer)',
    'create unique index trusted_issuer_ulid on trusted_issuer (tenant_id, ulid)',
    table(
      'idempotent_reply',
      `
      tenant_id ${text} not null, request_key ${text} not null, body_hash ${text} not null, state ${text} not null,
      status ${integer}, headers ${text}, sealed_body ${bytes}, expires_at ${integer} not null,
      primary key (tenant_id, request_key)`,
      types.largeRowOptions,
    ),
    'create index idempotent_reply_expiry on idempotent_reply (expires_at)',

    table(
      'user_domain',
      `
      tenant_id ${text} not null, folded_name ${text} not null, ulid ${text} not null, name ${text} not null,
      dns_name ${text}, folded_dns ${text}, netbios_name ${text}, folded_netbios ${text},
      description ${text}, is_default ${integer} not null,
      repository_id ${text}, created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, folded_name)`,
    ),
    'create unique index user_domain_ulid on user_domain (tenant_id, ulid)',
    'create unique index user_domain_default on user_domain (tenant_id) where is_default = 1',
    'create index user_domain_netbios on user_domain (tenant_id, folded_netbios) where folded_netbios is not null',
    'create index user_domain_dns on user_domain (tenant_id, folded_dns) where folded_dns is not null',
    table(
      'app_user',
      `
      tenant_id ${text} not null, id ${text} not null, ulid ${text} not null, domain ${text} not null,
      login_name ${text} not null, folded_login ${text} not null, display_name ${text}, email ${text},
      folded_email ${text}, status ${text} not null, first_name ${text}, last_name ${text}, mobile ${text}, telephone ${text},
      canonical_name ${text}, principal_name ${text}, description ${text}, password_hash ${text},
      keyless_external_id ${text}, last_login_at ${integer}, last_authenticated_at ${integer},
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index app_user_ulid on app_user (tenant_id, ulid)',
    'create unique index app_user_login on app_user (tenant_id, domain, folded_login)',
    'create index app_user_folded_login on app_user (tenant_id, folded_login, ulid)',
    'create index app_user_keyless on app_user (tenant_id, keyless_external_id, ulid) where keyless_external_id is not null',
    'create index app_user_email on app_user (tenant_id, folded_email, ulid) where folded_email is not null',
    'create index app_user_principal on app_user (tenant_id, principal_name, ulid) where principal_name is not null',
    'create index app_user_domain on app_user (tenant_id, domain, ulid)',
    'create index app_user_status on app_user (tenant_id, status, ulid)',
    'create index app_user_domain_status on app_user (tenant_id, domain, status, ulid)',
    table(
      'user_lockout',
      `
      tenant_id ${text} not null, user_id ${text} not null, failure_count ${integer} not null,
      locked_at ${integer}, locked_until ${integer}, lock_reason ${text},
      primary key (tenant_id, user_id)`,
    ),
    table(
      'user_identifier',
      `
      tenant_id ${text} not null, scheme ${text} not null, value ${text} not null, user_id ${text} not null,
      primary key (tenant_id, scheme, value)`,
    ),
    'create index user_identifier_user on user_identifier (tenant_id, user_id)',

    table(
      'otp_product',
      `
      tenant_id ${text} not null, id ${text} not null, manufacturer_code ${text} not null,
      product_code ${text} not null, name ${text} not null, model ${text}, type ${text} not null,
      algorithm ${text} not null, digits ${integer} not null, period_seconds ${integer},
      downloadable ${integer} not null, accept_window ${integer}, hint_window ${integer},
      search_window ${integer}, created_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index otp_product_codes on otp_product (tenant_id, manufacturer_code, product_code)',
    table(
      'token_repository',
      `
      tenant_id ${text} not null, id ${text} not null, name ${text} not null, description ${text},
      parent_id ${text}, domain ${text}, created_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index token_repository_root on token_repository (tenant_id, name) where parent_id is null',
    'create unique index token_repository_child on token_repository (tenant_id, parent_id, name) where parent_id is not null',
    table(
      'otp_token',
      `
      tenant_id ${text} not null, id ${text} not null, product_id ${text} not null, repository_id ${text},
      serial ${text} not null, identifier ${text} not null, type ${text} not null, algorithm ${text} not null,
      digits ${integer} not null, period_seconds ${integer}, status ${text} not null, description ${text},
      origin ${text} not null, confined ${integer} not null, starts_at ${integer},
      expires_at ${integer}, sealed_secret ${bytes} not null,
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index otp_token_serial on otp_token (tenant_id, serial, product_id)',
    'create index otp_token_product on otp_token (tenant_id, product_id)',
    'create index otp_token_identifier on otp_token (tenant_id, identifier)',
    table(
      'otp_factor',
      `
      tenant_id ${text} not null, token_id ${text} not null, next_counter ${integer} not null,
      last_step ${integer} not null, drift_steps ${integer} not null, last_used_at ${integer}, last_used_by ${text},
      primary key (tenant_id, token_id)`,
    ),
    table(
      'otp_assignment',
      `
      tenant_id ${text} not null, token_id ${text} not null, user_id ${text} not null, id ${text} not null,
      is_owner ${integer} not null, status ${text} not null, pin_hash ${text}, failure_count ${integer} not null,
      locked_until ${integer}, lock_reason ${text}, starts_at ${integer}, expires_at ${integer}, usage_limit ${integer} not null,
      use_count ${integer} not null, priority ${integer} not null, created_at ${integer} not null,
      updated_at ${integer} not null,
      primary key (tenant_id, token_id, user_id)`,
    ),
    'create unique index otp_assignment_id on otp_assignment (tenant_id, id)',
    'create index otp_assignment_user on otp_assignment (tenant_id, user_id)',
    'create unique index otp_assignment_owner on otp_assignment (tenant_id, token_id) where is_owner = 1',
    table(
      'download_ticket',
      `
      tenant_id ${text} not null, ticket_hash ${text} not null, token_id ${text} not null,
      user_id ${text} not null, expires_at ${integer} not null, state ${text} not null,
      created_at ${integer} not null,
      primary key (tenant_id, token_id, user_id)`,
    ),
    'create unique index download_ticket_hash on download_ticket (ticket_hash)',

    table(
      'journal_queue',
      `
      tenant_id ${text} not null, id ${text} not null, head ${text} not null, middle ${text} not null,
      tail ${text} not null,
      primary key (tenant_id, id)`,
    ),
    table(
      'journal_record',
      `
      tenant_id ${text} not null, seq ${integer} not null, id ${text} not null, action ${text} not null,
      outcome ${text} not null, surface ${text} not null, actor_id ${text}, user_id ${text}, target_type ${text},
      target_id ${text}, at ${integer} not null, body ${text} not null, hash ${text} not null,
      primary key (tenant_id, seq)`,
      types.largeRowOptions,
    ),
    'create unique index journal_record_id on journal_record (tenant_id, id)',
    'create index journal_record_user on journal_record (tenant_id, user_id, seq) where user_id is not null',
    table(
      'journal_checkpoint',
      `
      tenant_id ${text} not null, id ${text} not null, seq ${integer} not null, hash ${text} not null,
      first_seq ${integer} not null, at ${integer} not null, reason ${text} not null, previous ${text},
      jws ${text} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index journal_checkpoint_seq on journal_checkpoint (tenant_id, seq, reason)',
  ]
}
