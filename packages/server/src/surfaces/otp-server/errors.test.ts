import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { DomainError, type ErrorCode } from '#domain/errors.ts'
import type { Failure, HttpFault } from '#http/failure.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { otpServerFailures, shortNames, wireErrors } from './errors.ts'
import { requireValid } from './otp-server.fixture.ts'

const contract = contractOf('otp-server')
const renderFailure = otpServerFailures(contract)
const source = readFileSync(new URL('contract.openapi.yaml', import.meta.url), 'utf8')
const reasons = [...source.matchAll(/^ {10}- ([a-z-]+)$/gm)].map(([, reason]) => reason)

function render(failure: Failure, url = '/otp-server/otp.1/otp-list') {
  const request = { url } as never
  return renderFailure(failure, { request, requestId: 'r', operation: undefined })
}

const faults: readonly HttpFault[] = [
  { kind: 'route_not_found' },
  { kind: 'url_malformed' },
  { kind: 'url_too_long' },
  { kind: 'method_not_allowed', allow: ['GET', 'HEAD'] },
  { kind: 'path_parameter_invalid', faults: [] },
  { kind: 'not_acceptable' },
  { kind: 'payload_too_large', bytesMax: 1 },
  { kind: 'unsupported_media_type', supported: [] },
  { kind: 'malformed_body', reason: 'syntax' },
  { kind: 'validation_failed', faults: [] },
]

describe('a failure', () => {
  const failures: Failure[] = [
    { kind: 'internal' },
    ...faults.map((fault) => ({ kind: 'http', fault }) as const),
    ...Object.keys(wireErrors).map(
      (code) => ({ kind: 'domain', error: new DomainError(code as ErrorCode, 'Words.') }) as const,
    ),
  ]

  test('of any kind is an element of the schema, with a reason of the contract and a status that is declared', async () => {
    const declared = new Set(
      contract.operations.flatMap(({ responses }) => responses.map((r) => r.status)),
    )
    const documents = new Map<string, string>()
    for (const failure of failures) {
      const { status, headers, body } = render(failure)
      expect(declared).toContain(status)
      expect(reasons).toContain(headers?.['x-error-reason'])
      documents.set(String(body), JSON.stringify(failure))
    }
    await requireValid(documents)
  })

  test('is the published element, byte for byte', () => {
    expect(render({ kind: 'http', fault: { kind: 'route_not_found' } })).toEqual({
      status: 404,
      contentType: 'application/xml;charset=UTF-8',
      body: '<?xml version="1.0" encoding="UTF-8"?>\n<error status="404">Not Found</error>\n',
      headers: { 'x-error-reason': 'unknown-identifier' },
    })
  })

  test('says nothing of what the core said', () => {
    const error = new DomainError('invalid_request', 'secret\r\nX-Injected: 1', {
      faults: [{ pointer: 'query:\r\nx', code: 'whatever\r\n', message: 'secret\u2028' }],
    })
    const { headers, body } = render({ kind: 'domain', error })
    expect(headers).toEqual({ 'x-error-reason': 'invalid-parameter' })
    expect(body).not.toMatch(/secret|Injected/)
  })

  test('401 challenges, 405 lists the methods, 429 and 503 say when to come again', () => {
    const refused = (code: ErrorCode, retryAfterSeconds?: number) =>
      render({
        kind: 'domain',
        error: new DomainError(code, 'x', retryAfterSeconds ? { retryAfterSeconds } : {}),
      }).headers
    expect(refused('unauthenticated')?.['www-authenticate']).toBe(
      'Basic realm="OTP Server", charset="UTF-8"',
    )
    expect(refused('too_many_requests', 1.2)?.['retry-after']).toBe('2')
    expect(refused('unavailable')?.['retry-after']).toBe('5')
    expect(render({ kind: 'http', fault: faults[3] as HttpFault }).headers?.allow).toBe('GET, HEAD')
  })

  test('of a wrong method is 404 at a reserved identifier without a meaning', () => {
    const wrongMethod = { kind: 'http', fault: { kind: 'method_not_allowed', allow: [] } } as const
    const statusAt = (path: string) => render(wrongMethod, `/otp-server/otp.1/${path}`).status
    expect(['_all', '_verify', '%5Fall', '_'].map((id) => statusAt(`otp-list/${id}`))).toEqual([
      404, 404, 404, 404,
    ])
    expect(['_batch', '_query', 'x'].map((id) => statusAt(`otp-list/${id}`))).toEqual([
      405, 405, 405,
    ])
    expect(['_query', '_verify?_all'].map((id) => statusAt(`user-info/${id}`))).toEqual([405, 405])
  })

  test.each(Object.entries(shortNames))('%s has the text of the contract', (status, text) => {
    expect(source).toContain(`<error status="${status}">${text}</error>`)
  })
})
