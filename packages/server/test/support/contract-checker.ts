import type { Content, Contract, Operation, Response } from '#http/contract.ts'
import { parseJson } from '#http/json-body.ts'
import { isJson } from '#http/media-type.ts'
import { pathPattern } from '#http/routes.ts'
import { type Schema, toDefinition } from '#http/schema.ts'
import { PrunerCompiler } from '#http/serialise.ts'
import { SchemaCompiler } from '#http/validator.ts'
import { readXmlReply } from './xml-reply.ts'

/** One exchange of a test, as it went over the wire. */
export interface Exchange {
  readonly method: string
  /** With or without query. */
  readonly path: string
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly body: string | Uint8Array
}

/** Headers that must come when the contract names them; the others may. */
const expectedHeaders = [
  'cache-control',
  'www-authenticate',
  'retry-after',
  'location',
  'allow',
  'etag',
]

interface Served {
  readonly contract: Contract
  readonly operation: Operation
  readonly pattern: RegExp
}

interface Compilers {
  readonly schemas: SchemaCompiler
  readonly pruners: PrunerCompiler
}

/**
 * Holds every reply of every test against its contract: status, headers, media type, body, and no member that is not
 * declared.
 *
 * @param basePaths where operations are served instead of the contract's servers, by operationId.
 */
export function createContractChecker(
  contracts: readonly Contract[],
  basePaths: Readonly<Record<string, readonly string[]>> = {},
): ContractChecker {
  return new ContractChecker(contracts, basePaths)
}

export class ContractChecker {
  readonly #served: readonly Served[]
  readonly #compilers = new Map<Contract, Compilers>()
  readonly #seen = new Set<string>()

  constructor(
    contracts: readonly Contract[],
    basePaths: Readonly<Record<string, readonly string[]>>,
  ) {
    this.#served = contracts.flatMap((contract) =>
      contract.operations.flatMap((operation) =>
        (basePaths[operation.id] ?? operation.basePaths).map((basePath) => ({
          contract,
          operation,
          pattern: pathPattern(basePath, operation.path),
        })),
      ),
    )
  }

  /** The operations whose replies were checked, as `contract operationId`. */
  get seen(): ReadonlySet<string> {
    return this.#seen
  }

  /** @throws when the reply breaks its contract. @returns the operationId, where the request reached an operation. */
  check(exchange: Exchange): string | undefined {
    if (headerOf(exchange, 'x-request-id') === undefined) throw broken(exchange, 'no X-Request-Id')
    const atPath = this.#find(exchange.path)
    if (atPath.length === 0) {
      // 401 and 403 where credentials come first.
      if (![401, 403, 404].includes(exchange.status)) {
        throw broken(exchange, 'no contract has this path')
      }
      return undefined
    }
    const method = exchange.method === 'HEAD' ? 'GET' : exchange.method
    const served = atPath.find(({ operation }) => operation.method === method)
    if (served === undefined) {
      // 401 and 403 where credentials come first; 404 while nothing of the path is built.
      if (![401, 403, 404, 405].includes(exchange.status)) throw broken(exchange, 'no such method')
      if (exchange.status === 405 && headerOf(exchange, 'allow') === undefined) {
        throw broken(exchange, '405 without Allow')
      }
      return undefined
    }
    this.#checkResponse(exchange, served)
    this.#seen.add(`${served.contract.name} ${served.operation.id}`)
    return served.operation.id
  }

  /** The operations of the most exact path: the one with the fewest parameters. */
  #find(path: string): readonly Served[] {
    const [pathOnly = ''] = path.split('?')
    const fitting = this.#served.filter(({ pattern }) => pattern.test(pathOnly))
    const fewest = Math.min(...fitting.map(({ operation }) => parameterCount(operation)))
    return fitting.filter(({ operation }) => parameterCount(operation) === fewest)
  }

  #checkResponse(exchange: Exchange, { contract, operation }: Served): void {
    const response =
      operation.responses.find(({ status }) => status === exchange.status) ??
      operation.responses.find(({ status }) => status === 'default')
    if (response === undefined) {
      throw broken(exchange, `${operation.id} does not declare ${exchange.status}`)
    }
    this.#checkHeaders(exchange, contract, response)
    if (exchange.method === 'HEAD') return
    if (response.contents.length === 0) {
      if (exchange.body.length > 0) throw broken(exchange, 'a body where none is declared')
      if (headerOf(exchange, 'content-type')) throw broken(exchange, 'Content-Type without a body')
      return
    }
    const [mediaType = ''] = (headerOf(exchange, 'content-type') ?? '').split(';')
    const content = response.contents.find((one) => one.mediaType === mediaType.trim())
    if (content === undefined) throw broken(exchange, `media type "${mediaType}" is not declared`)
    this.#checkBody(exchange, contract, content)
  }

  #checkHeaders(exchange: Exchange, contract: Contract, response: Response): void {
    for (const [name, { schema, required }] of Object.entries(response.headers)) {
      const value = headerOf(exchange, name)
      if (value === undefined) {
        if (required || isExpected(name.toLowerCase(), response)) {
          throw broken(exchange, `header ${name} is missing`)
        }
      } else if (schema !== undefined) {
        const isNumber = typeof schema === 'object' && schema.type === 'integer'
        this.#validate(exchange, contract, schema, isNumber ? Number(value) : value, name)
      }
    }
  }

  #checkBody(exchange: Exchange, contract: Contract, { mediaType, schema }: Content): void {
    const isXml = mediaType === 'application/xml'
    if (!isJson(mediaType) && !isXml) return
    const value = isXml
      ? readXml(exchange, contract, schema ?? true)
      : parseJson(Buffer.from(exchange.body))
    if (schema === undefined) return
    this.#validate(exchange, contract, schema, value, 'the body')
    const pruned = this.#compilersOf(contract).pruners.compile(toDefinition(schema))(value)
    if (pruned !== value) {
      throw broken(exchange, `undeclared members; declared are only ${JSON.stringify(pruned)}`)
    }
  }

  #validate(
    exchange: Exchange,
    contract: Contract,
    schema: Schema,
    value: unknown,
    what: string,
  ): void {
    const faults = this.#compilersOf(contract).schemas.compile(toDefinition(schema))(value)
    if (faults !== undefined) {
      throw broken(exchange, `${what} does not fit: ${JSON.stringify(faults)}`)
    }
  }

  #compilersOf(contract: Contract): Compilers {
    let compilers = this.#compilers.get(contract)
    if (compilers === undefined) {
      compilers = {
        schemas: new SchemaCompiler(contract.definitions),
        pruners: new PrunerCompiler(contract.definitions),
      }
      this.#compilers.set(contract, compilers)
    }
    return compilers
  }
}

function readXml(exchange: Exchange, contract: Contract, schema: Schema): unknown {
  try {
    return readXmlReply(Buffer.from(exchange.body), schema, contract)
  } catch (error) {
    throw broken(exchange, String(error))
  }
}

/** A success may have something to wait for, or not. */
function isExpected(name: string, { status }: Response): boolean {
  if (name === 'retry-after' && status !== 'default' && status < 300) return false
  // Some reasons for a 403 have a challenge or a wait, others have not.
  if (status === 403 && (name === 'retry-after' || name === 'www-authenticate')) return false
  return expectedHeaders.includes(name)
}

function parameterCount({ path }: Operation): number {
  return path.split('{').length - 1
}

function headerOf({ headers }: Exchange, name: string): string | undefined {
  const value = headers[name.toLowerCase()]
  return value === undefined ? undefined : String(value)
}

function broken({ method, path, status, body }: Exchange, reason: string): Error {
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('utf8')
  return new Error(
    `${method} ${path} answered ${status} against its contract: ${reason}\n${text.slice(0, 2000)}`,
  )
}
