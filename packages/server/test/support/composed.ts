import { systemRandomness } from '#custody/randomness.ts'
import type { Database } from '#storage/queries.ts'
import { type ComposedCore, type CoreParts, composeCore } from '../../src/compose-core.ts'
import { testPublicUrl } from './core.ts'
import { testMasterKey } from './storage.ts'

/** The whole core as the server composes it. @param parts what is otherwise than in most tests. */
export function composeTestCore(
  database: Database,
  parts: Partial<Omit<CoreParts, 'database'>> = {},
): ComposedCore {
  return composeCore({
    database,
    masterKey: testMasterKey(),
    clock: Date.now,
    randomness: systemRandomness,
    publicUrl: () => testPublicUrl,
    outboundAllow: { hosts: [], ranges: [] },
    authFailuresPerMinute: 0,
    adminToken: undefined,
    observer: {
      countVerification: () => {},
      backgroundFailed: (work, error) => {
        throw new Error(`${work} failed.`, { cause: error })
      },
    },
    ...parts,
  })
}
