import type { Fault } from '#domain/errors.ts'
import type { Contract } from './contract.ts'
import type { RenderedFailure } from './failure.ts'
import type { Headers } from './handler.ts'

/** Problem details as the platform's and the device contract declare them (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly instance: string
  readonly code: string
  readonly errors?: readonly Fault[]
}

/** One row of a contract's list of problem codes. */
export interface ProblemCode {
  readonly status: number
  readonly title: string
}

/** Status and title by code, from `x-error-codes` of the contract. */
export type ProblemCatalogue = ReadonlyMap<string, ProblemCode>

/** @throws for a contract whose list is not one of `{code, status, title}`. */
export function readProblemCatalogue(contract: Contract): ProblemCatalogue {
  const rows = contract.extensions['x-error-codes']
  if (!Array.isArray(rows)) throw new Error(`The contract ${contract.name} has no x-error-codes.`)
  return new Map(
    rows.map(({ code, status, title }: Record<string, unknown>) => {
      if (typeof code !== 'string' || typeof status !== 'number' || typeof title !== 'string') {
        throw new Error(`x-error-codes of ${contract.name} has a row that cannot be read.`)
      }
      return [code, { status, title }]
    }),
  )
}

export interface ProblemOptions {
  readonly code: string
  readonly requestId: string
  /** For developers; holds no secret and no code. */
  readonly detail?: string | undefined
  readonly faults?: readonly Fault[]
  readonly headers?: Headers
}

/** @throws for a code that the catalogue does not have. */
export function renderProblem(
  catalogue: ProblemCatalogue,
  { code, requestId, detail, faults = [], headers = {} }: ProblemOptions,
): RenderedFailure {
  const row = catalogue.get(code)
  if (row === undefined) throw new Error(`The contract has no problem code "${code}".`)
  const body: Problem = {
    type: `urn:countersign:problem:${code}`,
    title: row.title,
    status: row.status,
    ...(detail === undefined ? {} : { detail }),
    instance: `urn:countersign:request:${requestId}`,
    code,
    ...(faults.length === 0 ? {} : { errors: faults }),
  }
  return { status: row.status, contentType: 'application/problem+json', body, headers }
}
