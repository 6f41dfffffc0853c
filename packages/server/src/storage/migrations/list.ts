import type { ColumnTypes } from '../dialect.ts'
import { foundation } from './0001-foundation.ts'
import { otpLists } from './0002-otp-lists.ts'
import { delivery } from './0003-delivery.ts'
import { cabinets } from './0004-cabinets.ts'
import { certificates } from './0005-certificates.ts'
import { devices } from './0006-devices.ts'
import { approvals } from './0007-approvals.ts'
import { keyless } from './0008-keyless.ts'
import { properties } from './0009-properties.ts'
import { localization } from './0010-localization.ts'
import { appVersions } from './0011-app-versions.ts'
import { apps } from './0012-apps.ts'
import { nonces } from './0014-nonces.ts'
import { trustedIssuers } from './0015-trusted-issuers.ts'
import { signerClosing } from './0016-signer-closing.ts'
import { journalUsers } from './0018-journal-users.ts'
import { signingKeyPurpose } from './0019-signing-key-purpose.ts'

export interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: (types: ColumnTypes) => string[]
}

/** In order of version; never edited once released. */
export const migrations: readonly Migration[] = [
  { version: 1, name: 'foundation', statements: foundation },
  { version: 2, name: 'otp-lists', statements: otpLists },
  { version: 3, name: 'delivery', statements: delivery },
  { version: 4, name: 'cabinets', statements: cabinets },
  { version: 5, name: 'certificates', statements: certificates },
  { version: 6, name: 'devices', statements: devices },
  { version: 7, name: 'approvals', statements: approvals },
  { version: 8, name: 'keyless', statements: keyless },
  { version: 9, name: 'properties', statements: properties },
  { version: 10, name: 'localization', statements: localization },
  { version: 11, name: 'app-versions', statements: appVersions },
  { version: 12, name: 'apps', statements: apps },
  { version: 14, name: 'nonces', statements: nonces },
  { version: 15, name: 'trusted-issuers', statements: trustedIssuers },
  { version: 16, name: 'signer-closing', statements: signerClosing },
  { version: 18, name: 'journal-users', statements: journalUsers },
  { version: 19, name: 'signing-key-purpose', statements: signingKeyPurpose },
]

export const latestVersion = migrations.at(-1)?.version ?? 0

/** The table in which a database says which migrations it has. */
export const versionTable = 'schema_version'

/** What stands between a database at `current` and this program. */
export function migrationsAfter(current: number): readonly Migration[] {
  return migrations.filter(({ version }) => version > current)
}

/** A database from a newer program is not touched: its data may mean something this one does not know. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'
  constructor(current: number) {
    super(
      `The database is at schema version ${current}; this program knows up to ${latestVersion}.`,
    )
  }
}
