import { single } from '../body.ts'
import type { Schemas } from '../contract.gen.ts'
import type { Endpoint } from '../endpoint.ts'
import { refusal, reportOf } from '../errors.ts'
import { tenantOf } from '../references.ts'
import { missing } from '../refusals.ts'

/** Assigns many tokens to users, row by row of a CSV text. */
export const tokenBatchAssignTokens: Endpoint<'tokenBatchAssignTokens'> = async ({
  core,
  caller,
  body,
}) => {
  const attrs = single<Schemas['TokenBatchAssignAttrs']>(body.attrs)
  const { csv, charset = 'UTF-8', encoding = 'text', onError = 'continue' } = attrs
  if (csv === undefined) throw missing('attrs.csv')
  const outcome = await core.batchAssignments.assign(caller, tenantOf(caller), {
    csv,
    charset,
    encoding,
    onError,
  })
  if (!outcome.isReadable) {
    return refusal({ error: 1060, message: `The CSV file is not valid: ${outcome.reason}` })
  }
  const { faults, ...counts } = outcome.report
  const rows = faults.map(({ line, serial, code }) => ({ line, serial, ...reportOf(code) }))
  const result = { ...counts, rows }
  if (counts.failed === 0) return { status: 200, body: { error: 0, result } }
  const message = `${counts.failed} of ${counts.total} rows were not assigned`
  return { status: 200, body: { error: 1061, message, severity: 'ERROR', result } }
}
