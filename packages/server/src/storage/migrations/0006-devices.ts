import type { ColumnTypes } from '../dialect.ts'

/** Devices, their users, keys, sessions and events. `schema/devices.ts` explains the columns. */
export function devices(types: ColumnTypes): string[] {
  const { text, integer } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'device',
      `
      tenant_id ${text} not null, id ${text} not null, key_thumbprint ${text} not null,
      public_jwk ${text} not null, status ${text} not null, enrolled_via ${text} not null, name ${text},
      model ${text}, os_name ${text}, os_version ${text}, app_name ${text} not null, platform ${text} not null,
      architecture ${text} not null, app_version ${text} not null, sdk_version ${text} not null,
      integrity ${text}, risks ${text}, push_token ${text}, locales ${text} not null,
      lock_state ${text} not null, lock_reason ${text}, lock_changed_at ${integer},
      session_epoch ${integer} not null, created_at ${integer} not null, updated_at ${integer} not null,
      last_seen_at ${integer}, last_success_at ${integer}, last_failure_at ${integer}, deleted_at ${integer},
      primary key (tenant_id, id)`,
      types.largeRowOptions,
    ),
    'create unique index device_key on device (tenant_id, key_thumbprint)',
    'create unique index device_push on device (tenant_id, push_token) where push_token is not null',
    table(
      'device_link',
      `
      tenant_id ${text} not null, device_id ${text} not null, user_id ${text} not null,
      epoch ${integer} not null, linked_at ${integer} not null, ended_at ${integer}, bio_jwk ${text},
      bio_thumbprint ${text}, key_statement ${text} not null, bio_statement ${text}, verified_at ${integer},
      verified_factor ${text}, last_success_at ${integer}, last_failure_at ${integer},
      primary key (tenant_id, device_id, user_id)`,
      types.largeRowOptions,
    ),
    'create index device_link_user on device_link (tenant_id, user_id, device_id)',
    table(
      'enrolled_key',
      `
      tenant_id ${text} not null, thumbprint ${text} not null, owner_tenant_id ${text} not null,
      device_id ${text} not null, purpose ${text} not null, created_at ${integer} not null,
      primary key (tenant_id, thumbprint)`,
    ),
    table(
      'device_pin',
      `
      tenant_id ${text} not null, user_id ${text} not null, pin_hash ${text}, failures ${integer} not null,
      locked_until ${integer}, updated_at ${integer} not null,
      primary key (tenant_id, user_id)`,
    ),
    table(
      'enrolment_code',
      `
      tenant_id ${text} not null, id ${text} not null, code_hash ${text} not null, user_id ${text},
      external_user_id ${text}, status ${text} not null, failures ${integer} not null, device_name ${text},
      created_by ${text} not null, created_at ${integer} not null, expires_at ${integer} not null,
      used_at ${integer}, device_id ${text}, key_thumbprint ${text},
      primary key (tenant_id, id)`,
    ),
    'create unique index enrolment_code_hash on enrolment_code (code_hash)',
    'create index enrolment_code_user on enrolment_code (tenant_id, user_id, id) where user_id is not null',
    table(
      'device_token',
      `
      tenant_id ${text} not null, token_hash ${text} not null, device_id ${text} not null, user_id ${text},
      scope ${text} not null, factor ${text}, verified_at ${integer}, session_epoch ${integer} not null,
      link_epoch ${integer}, issued_at ${integer} not null, expires_at ${integer} not null,
      primary key (tenant_id, token_hash)`,
    ),
    'create unique index device_token_hash on device_token (token_hash)',
    'create index device_token_expiry on device_token (expires_at)',
    table(
      'device_proof',
      `
      tenant_id ${text} not null, key_thumbprint ${text} not null, jti ${text} not null,
      until_ms ${integer} not null,
      primary key (tenant_id, key_thumbprint, jti)`,
    ),
    'create index device_proof_end on device_proof (until_ms)',
    table(
      'device_event',
      `
      tenant_id ${text} not null, device_id ${text} not null, id ${text} not null, user_id ${text},
      type ${text} not null, data ${text} not null, created_at ${integer} not null,
      primary key (tenant_id, device_id, id)`,
    ),
    'create index device_event_age on device_event (created_at)',
  ]
}
