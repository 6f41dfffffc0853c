import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { DomainError, type ErrorCode } from '#domain/errors.ts'
import type { Failure, HttpFault } from '#http/failure.ts'
import { readProblemCatalogue } from '#http/problem.ts'
import { toDefinition } from '#http/schema.ts'
import { SchemaCompiler } from '#http/validator.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { platformFailures, wireErrors } from './errors.ts'

const contract = contractOf('platform')
const render = platformFailures(readProblemCatalogue(contract))
const fitsProblem = new SchemaCompiler(contract.definitions).compile(
  toDefinition({ $ref: '#/components/schemas/Problem' }),
)
const requestId = '01M7YRRT808A9NYTDXX0X5X0P4'

function rendered(failure: Failure, operationId = 'verifyCode') {
  const operation = contract.operations.find(({ id }) => id === operationId)
  const { status, headers, body, contentType } = render(failure, {
    request: {} as FastifyRequest,
    requestId,
    operation,
  })
  return { status, headers, contentType, body: body as Record<string, unknown> }
}

function refused(code: ErrorCode, options: ConstructorParameters<typeof DomainError>[2] = {}) {
  return rendered({ kind: 'domain', error: new DomainError(code, 'Because.', options) })
}

describe('a failure of the platform API', () => {
  test.each(Object.keys(wireErrors) as ErrorCode[])(
    '%s is a problem as the contract declares it',
    (code) => {
      for (const options of [{}, { pointer: '/user' }]) {
        const { status, body, contentType } = refused(code, options)
        expect(contentType).toBe('application/problem+json')
        expect(fitsProblem(body)).toBeUndefined()
        expect(body).toMatchObject({ status, instance: `urn:countersign:request:${requestId}` })
      }
    },
  )

  test.each<HttpFault>([
    { kind: 'route_not_found' },
    { kind: 'url_malformed' },
    { kind: 'url_too_long' },
    { kind: 'method_not_allowed', allow: ['GET'] },
    { kind: 'path_parameter_invalid', faults: [] },
    { kind: 'not_acceptable' },
    { kind: 'payload_too_large', bytesMax: 1 },
    { kind: 'unsupported_media_type', supported: ['application/json'] },
    { kind: 'malformed_body', reason: 'duplicate_member' },
    {
      kind: 'validation_failed',
      faults: [{ pointer: '/a', code: 'required', message: 'is required' }],
    },
  ])('$kind is a problem as the contract declares it', (fault) => {
    expect(fitsProblem(rendered({ kind: 'http', fault }).body)).toBeUndefined()
  })

  test('404 for a missing object of the path, 400 with a pointer for one that the body names', () => {
    expect(refused('user_not_found').body).toMatchObject({ status: 404, code: 'not_found' })
    expect(refused('user_not_found', { pointer: '/user/id' }).body).toMatchObject({
      status: 400,
      code: 'reference_not_found',
      errors: [{ pointer: '/user/id', code: 'not_found', message: 'Because.' }],
    })
  })

  test('401 names the schemes to try and does not say why', () => {
    const { status, headers, body } = refused('unauthenticated')
    expect(status).toBe(401)
    expect(headers).toMatchObject({
      'www-authenticate': 'Bearer realm="countersign", Basic realm="countersign"',
    })
    expect(body).not.toHaveProperty('detail')
  })

  test('405 names the methods, 429 and 503 the seconds to wait', () => {
    const fault: HttpFault = { kind: 'method_not_allowed', allow: ['GET', 'HEAD'] }
    expect(rendered({ kind: 'http', fault }).headers).toMatchObject({ allow: 'GET, HEAD' })
    expect(refused('too_many_requests', { retryAfterSeconds: 0.2 }).headers).toMatchObject({
      'retry-after': '1',
    })
    expect(refused('unavailable').headers).toMatchObject({ 'retry-after': '5' })
  })

  test('500 says nothing but the request', () => {
    expect(rendered({ kind: 'internal' }).body).toEqual({
      type: 'urn:countersign:problem:internal',
      title: 'Internal error',
      status: 500,
      instance: `urn:countersign:request:${requestId}`,
      code: 'internal',
    })
  })

  test('400 and 401 at the OAuth endpoints have the form of RFC 6749, the others stay problems', () => {
    const error = new DomainError('unauthenticated', 'No.')
    expect(rendered({ kind: 'domain', error }, 'issueAccessToken')).toMatchObject({
      status: 401,
      contentType: 'application/json',
      body: { error: 'invalid_client' },
      headers: { 'www-authenticate': expect.stringContaining('Basic') },
    })
    const fault: HttpFault = { kind: 'malformed_body', reason: 'duplicate_member' }
    expect(rendered({ kind: 'http', fault }, 'issueAccessToken')).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    })
    expect(rendered({ kind: 'internal' }, 'issueAccessToken')).toMatchObject({
      status: 500,
      contentType: 'application/problem+json',
    })
  })
})
