import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Contract } from './contract.ts'
import { contractPage } from './docs/contract-page.ts'
import { indexPage } from './docs/index-page.ts'
import { RequestRefused } from './failure.ts'
import type { Headers } from './handler.ts'
import { pageHeaders } from './security-headers.ts'

export interface DocsFile {
  readonly body: string
  readonly contentType: string
  readonly headers: Headers
}

const docsHeaders = { ...pageHeaders, 'cache-control': 'public, max-age=300' } as const

/** The reference of all contracts as pages that load nothing from elsewhere. Rendered at the first look, then kept. */
export class Docs {
  readonly #load: () => readonly Contract[]
  #loaded: ReadonlyMap<string, Contract> | undefined
  readonly #files = new Map<string, DocsFile>()

  /** @param load gives all contracts; asked once, when somebody first looks: most servers' pages are never read. */
  constructor(load: () => readonly Contract[]) {
    this.#load = load
  }

  get #contracts(): ReadonlyMap<string, Contract> {
    this.#loaded ??= new Map(this.#load().map((contract) => [contract.name, contract]))
    return this.#loaded
  }

  /** The start page, `GET /docs`. */
  get index(): DocsFile {
    return this.#keep('', () => ({
      contentType: 'text/html; charset=utf-8',
      body: indexPage([...this.#contracts.values()]).text,
    }))
  }

  /** What stands at `/docs/<name>`: the page of a contract, or a file that pages load. */
  find(name: string): DocsFile | undefined {
    const contract = this.#contracts.get(name)
    if (contract !== undefined) {
      return this.#keep(name, () => ({
        contentType: 'text/html; charset=utf-8',
        body: contractPage(contract, [...this.#contracts.keys()]).text,
      }))
    }
    const contentType = assets.get(name)
    if (contentType === undefined) return undefined
    return this.#keep(name, () => ({
      contentType,
      body: readFileSync(new URL(`docs/${name}`, import.meta.url), 'utf8'),
    }))
  }

  /** The bytes of a contract's file, for `GET /openapi/{name}.yaml`. */
  source(name: string): Buffer | undefined {
    return this.#contracts.get(name)?.source
  }

  #keep(name: string, make: () => Omit<DocsFile, 'headers'>): DocsFile {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = { ...make(), headers: docsHeaders }
      this.#files.set(name, file)
    }
    return file
  }
}

const assets: ReadonlyMap<string, string> = new Map([
  ['docs.css', 'text/css; charset=utf-8'],
  ['docs.js', 'text/javascript; charset=utf-8'],
])

/** Serves what lies below `/docs/`; `/docs` itself and the files are operations of the platform contract. */
export function mountDocs(app: FastifyInstance, docs: Docs): void {
  app.get('/docs/:name', async (request, reply) => {
    const { name = '' } = request.params as Readonly<Record<string, string>>
    const file = docs.find(name)
    if (file === undefined) throw new RequestRefused({ kind: 'route_not_found' })
    return reply.headers(file.headers).type(file.contentType).send(file.body)
  })
}
