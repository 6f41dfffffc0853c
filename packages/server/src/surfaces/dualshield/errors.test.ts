import { describe, expect, test } from 'vitest'
import { DomainError, type ErrorCode } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import type { Failure } from '#http/failure.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { decisions, renderFailure, wireErrors } from './errors.ts'

interface Row {
  readonly code: number
  readonly http: number
  readonly message: string
}

const contract = contractOf('dualshield')
const rows = new Map((contract.extensions['x-error-codes'] as Row[]).map((row) => [row.code, row]))

function render(failure: Failure, operationId?: string) {
  const operation: Operation | undefined = contract.operations.find(({ id }) => id === operationId)
  return renderFailure(failure, { request: {} as never, requestId: 'r', operation })
}

function refused(code: ErrorCode, options: ConstructorParameters<typeof DomainError>[2] = {}) {
  return { kind: 'domain', error: new DomainError(code, 'Words for developers.', options) } as const
}

describe('a failure', () => {
  test.each(Object.entries(wireErrors).filter(([, { error }]) => error !== 1000))(
    '%s has number, status and text of the contract',
    (_code, { error, status, message }) => {
      expect(rows.get(error)).toMatchObject({ http: status, message })
    },
  )

  test.each(Object.entries(decisions))('%s is told in the words of the contract', (_name, told) => {
    expect(told.message).toBe(rows.get(told.error)?.message)
  })

  test('of the server or by too many requests is 1000, with the time to wait', () => {
    for (const [code, status] of [
      ['unavailable', 503],
      ['too_many_requests', 429],
    ] as const) {
      const { headers, body, ...rendered } = render(refused(code, { retryAfterSeconds: 1.2 }))
      expect(rendered.status).toBe(status)
      expect(headers).toEqual({ 'retry-after': '2' })
      expect(body).toMatchObject({ error: 1000, severity: 'ERROR' })
    }
    expect(render({ kind: 'internal' })).toMatchObject({
      status: 500,
      body: { error: 1000, message: 'Internal error' },
    })
  })

  test.each<[string, ErrorCode, string, number]>([
    ['a domain', 'domain_not_found', 'userCreate', 242],
    ['a domain', 'domain_not_found', 'userSet', 101],
    ['a token', 'token_not_found', 'tokenReset', 1021],
    ['a token', 'token_not_found', 'tokenAssignmentSet', 1024],
  ])('for %s (%s) at %s is %i', (_what, code, operationId, error) => {
    expect(render(refused(code), operationId).body).toMatchObject({ error })
  })

  test('names what it is about, whatever the name is made of', () => {
    const named = (code: string, pointer: string, operationId: string) =>
      render(refused('invalid_request', { faults: [{ pointer, code, message: 'x' }] }), operationId)
        .body
    expect(named('required', '/attrs/product', 'tokenCreate')).toEqual({
      error: 1003,
      message: 'Missing parameter: attrs.product',
      severity: 'ERROR',
    })
    expect(named('unknown_member', '/attrs/$&~1x', 'tokenCreate')).toMatchObject({
      error: 1005,
      message: 'Unknown attribute: $&/x',
    })
    expect(named('unknown_member', '/attrs/drift', 'tokenCreate')).toMatchObject({
      error: 1006,
      message: 'Read-only attribute: drift',
    })
    expect(named('unknown_member', '/attrs/failCount', 'tokenAssignmentCreate')).toMatchObject({
      error: 1005,
    })
    expect(named('wrong_type', '', 'tokenDelete')).toMatchObject({
      error: 1004,
      message: 'Invalid parameter: body',
    })
  })

  test('of a link that is only looked at tells nothing but that it is no good', () => {
    expect(render(refused('token_confined'), 'provisionInspect')).toMatchObject({
      status: 404,
      body: { error: 1070 },
    })
    expect(render(refused('token_confined'), 'provisionRedeem')).toMatchObject({
      status: 200,
      body: { error: 1034 },
    })
  })
})
