import { type Installation, tenantId } from './installation.ts'
import type { LoadGenerator } from './load.ts'
import type { LoadJob, LoadResult } from './load-job.ts'
import { Server, type ServerOptions } from './server.ts'

/** One measurement, with what the server says about it. */
export interface Sample extends LoadResult {
  /** Until all its journal records were in the chain. */
  readonly sealingSeconds: number
  /** Processor microseconds of the server for one request, sealing included; undefined where the system does not tell. */
  readonly cpuUs: number | undefined
}

/** Codes beyond those that the expected rate needs. */
const spareShare = 1.4
const spareCodes = 2_000
const defaultConnections = 64

/** A server that codes are sent to. Remembers which codes were used, so that each is sent once. */
export class Target implements AsyncDisposable {
  readonly server: Server
  readonly #installation: Installation
  readonly #generator: LoadGenerator
  readonly #answersTruly: boolean
  #nextPosition = 0
  #ratePerSecond = 20_000

  private constructor(
    server: Server,
    installation: Installation,
    generator: LoadGenerator,
    answersTruly: boolean,
  ) {
    this.server = server
    this.#installation = installation
    this.#generator = generator
    this.#answersTruly = answersTruly
  }

  static async start(
    installation: Installation,
    generator: LoadGenerator,
    options: ServerOptions & { readonly isBare?: boolean } = {},
  ): Promise<Target> {
    const server = await Server.start(installation, options)
    return new Target(server, installation, generator, options.isBare !== true)
  }

  /** Lets the engine compile what is used all the time. */
  async warmUp(seconds = 3): Promise<void> {
    this.#ratePerSecond = (await this.fresh({ seconds })).rate
  }

  /** Sends codes that were never sent; all must be accepted. */
  async fresh(job: Partial<LoadJob> & { seconds: number }): Promise<Sample> {
    const rate = job.rate ?? this.#ratePerSecond
    const sample = await this.#measure({
      codes: 'fresh',
      firstPosition: this.#nextPosition,
      positionCount: Math.ceil(rate * job.seconds * spareShare) + spareCodes,
      ...job,
    })
    this.#nextPosition += sample.sent
    if (sample.accepted !== sample.sent) {
      throw new Error(`Not all fresh codes were accepted: ${JSON.stringify(sample)}`)
    }
    if (job.rate === undefined) this.#ratePerSecond = sample.rate
    return sample
  }

  /** Sends codes that no token shows. */
  async wrong(job: Partial<LoadJob> & { seconds: number }): Promise<Sample> {
    const sample = await this.#measure({
      codes: 'wrong',
      firstPosition: this.#nextPosition,
      positionCount: Math.ceil(this.#ratePerSecond * job.seconds * spareShare) + spareCodes,
      ...job,
    })
    if (sample.refused < sample.sent * 0.99 || Object.keys(sample.failed).length > 0) {
      throw new Error(`Not all wrong codes were refused: ${JSON.stringify(sample)}`)
    }
    return sample
  }

  async #measure(
    job: Pick<LoadJob, 'codes' | 'seconds' | 'firstPosition' | 'positionCount'> & Partial<LoadJob>,
  ): Promise<Sample> {
    const { apiKey, tokenCount } = this.#installation
    const before = this.#answersTruly ? await this.server.acceptedCount() : 0
    const cpuBefore = this.server.cpuSeconds()
    const result = await this.#generator.run({
      port: this.server.port,
      tenantId,
      apiKey,
      tokenCount,
      connections: defaultConnections,
      ...job,
    })
    const sealingSeconds = this.#answersTruly ? await this.server.settle() : 0
    const cpuAfter = this.server.cpuSeconds()
    const cpuUs =
      cpuBefore === undefined || cpuAfter === undefined
        ? undefined
        : ((cpuAfter - cpuBefore) / result.sent) * 1e6
    if (!this.#answersTruly) return { ...result, sealingSeconds, cpuUs }
    const counted = (await this.server.acceptedCount()) - before
    if (counted !== result.accepted) {
      throw new Error(`The server counted ${counted} acceptances, the client ${result.accepted}.`)
    }
    return { ...result, sealingSeconds, cpuUs }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }
}
