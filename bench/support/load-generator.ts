/**
 * Sends verifications over keep-alive connections, as a process of its own that costs as little as possible: requests are
 * one prepared buffer a connection into which serial and code are written, answers are looked at no further than needed.
 * Takes `LoadJob`s as messages from its parent and answers each with a `LoadResult`.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { hotpCode, scattered, secretOf, serialOf, userOf } from './codes.ts'
import type { LoadJob, LoadResult } from './load-job.ts'

const serialLength = serialOf(0).length
const codeLength = 6
/** Far beyond every window. */
const wrongCounter = 1_000_000
const tickMs = 1
const answerBytesMax = 16_384

/** Everything that can be computed beforehand: for each position the token's number and the code. */
interface Prepared {
  readonly tokens: Uint32Array
  readonly codes: Uint32Array
}

function prepare({
  codes,
  firstToken = 0,
  tokenCount,
  firstPosition,
  positionCount,
  lists,
}: LoadJob): Prepared {
  const listCodes = lists && new Uint32Array(new Uint8Array(readFileSync(lists.path)).buffer)
  const tokenAt = scattered(tokenCount)
  const prepared = {
    tokens: new Uint32Array(positionCount),
    codes: new Uint32Array(positionCount),
  }
  for (let index = 0; index < positionCount; index++) {
    const position = firstPosition + index
    const token = firstToken + tokenAt(position)
    const counter = codes === 'wrong' ? wrongCounter : Math.floor(position / tokenCount)
    prepared.tokens[index] = token
    prepared.codes[index] =
      lists === undefined
        ? hotpCode(secretOf(token), counter)
        : (listCodes?.[token * lists.listSize + counter] ?? 0)
  }
  return prepared
}

/** One keep-alive connection with at most one request under way. */
class Connection {
  readonly #socket: Socket
  readonly #request: Buffer
  readonly #answer = Buffer.alloc(answerBytesMax)
  readonly #serialAt: number
  readonly #codeAt: number
  readonly #onAnswer: (connection: Connection, answer: string) => void
  #waiting = ''
  /** When the request that is under way was due. */
  dueAt = 0

  constructor(job: LoadJob, onAnswer: (connection: Connection, answer: string) => void) {
    const pin = job.pin === undefined ? '' : `,"pin":"${job.pin}"`
    const whose =
      job.lists === undefined
        ? `"token":{"serial":"${serialOf(0)}"}`
        : `"methods":["list"],"user":{"id":"${userOf(serialOf(0))}"}`
    const body = `{${whose},"code":"000000"${pin}}`
    const head = [
      `POST /api/v1/tenants/${job.tenantId}/verify HTTP/1.1`,
      'Host: 127.0.0.1',
      'Content-Type: application/json',
      `X-Api-Key: ${job.apiKey}`,
      `Content-Length: ${body.length}`,
    ].join('\r\n')
    this.#request = Buffer.from(`${head}\r\n\r\n${body}`, 'latin1')
    this.#serialAt = this.#request.indexOf(serialOf(0))
    this.#codeAt = this.#request.indexOf('"code":"') + '"code":"'.length
    this.#onAnswer = onAnswer
    this.#socket = connect({
      port: job.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: this.#answer,
        callback: (length) => {
          this.#read(length)
          return true
        },
      },
    })
    this.#socket.on('error', (error) => {
      throw error
    })
  }

  async open(): Promise<void> {
    await once(this.#socket, 'connect')
  }

  close(): void {
    this.#socket.destroy()
  }

  send(token: number, code: number, dueAt: number): void {
    this.dueAt = dueAt
    writeDigits(this.#request, this.#serialAt + 1, serialLength - 1, token)
    writeDigits(this.#request, this.#codeAt, codeLength, code)
    this.#socket.write(this.#request)
  }

  #read(length: number): void {
    const text = this.#waiting + this.#answer.toString('latin1', 0, length)
    const bodyAt = text.indexOf('\r\n\r\n') + 4
    const lengthAt = text.indexOf('content-length: ')
    const bodyLength = Number.parseInt(text.slice(lengthAt + 16, lengthAt + 24), 10)
    if (bodyAt < 4 || text.length < bodyAt + bodyLength) {
      this.#waiting = text
      return
    }
    this.#waiting = ''
    this.#onAnswer(this, text)
  }
}

function writeDigits(buffer: Buffer, start: number, length: number, value: number): void {
  let rest = value
  for (let place = start + length - 1; place >= start; place--) {
    buffer[place] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

async function run(job: LoadJob): Promise<LoadResult> {
  const prepared = prepare(job)
  const latencies = new Float64Array(job.positionCount)
  const failed: Record<string, number> = {}
  let sent = 0
  let answered = 0
  let accepted = 0
  let refused = 0
  let lastAnswerAt = 0
  let deadline = 0
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const idle: Connection[] = []
  /** Open load: when requests that found no connection free were due. */
  const due: number[] = []
  let isSending = true

  const sendNext = (connection: Connection, dueAt: number): void => {
    const index = sent++
    connection.send(prepared.tokens[index] ?? 0, prepared.codes[index] ?? 0, dueAt)
  }
  const stop = (): void => {
    isSending = false
    if (answered === sent) finish()
  }
  const onAnswer = (connection: Connection, answer: string): void => {
    const now = performance.now()
    lastAnswerAt = now
    latencies[answered++] = now - connection.dueAt
    const status = answer.slice(9, 12)
    if (status !== '200') failed[status] = (failed[status] ?? 0) + 1
    else if (answer.includes('"result":"ACCEPTED"')) accepted++
    else refused++

    if (job.rate === undefined) {
      if (now < deadline && sent < job.positionCount) sendNext(connection, now)
      else stop()
      return
    }
    const dueAt = due.shift()
    if (dueAt !== undefined && isSending) sendNext(connection, dueAt)
    else idle.push(connection)
    if (!isSending && answered === sent) finish()
  }

  const connections = Array.from({ length: job.connections }, () => new Connection(job, onAnswer))
  await Promise.all(connections.map((connection) => connection.open()))
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  deadline = startedAt + job.seconds * 1000
  if (job.rate === undefined) {
    for (const connection of connections) {
      if (sent < job.positionCount) sendNext(connection, performance.now())
    }
  } else {
    idle.push(...connections)
    const perMs = job.rate / 1000
    let issued = 0
    const timer = setInterval(() => {
      const now = performance.now()
      const wanted = Math.min(job.positionCount, Math.floor((now - startedAt) * perMs))
      for (; issued < wanted; issued++) {
        const connection = idle.pop()
        if (connection === undefined) due.push(now)
        else sendNext(connection, now)
      }
      if (now >= deadline || issued >= job.positionCount) {
        clearInterval(timer)
        stop()
      }
    }, tickMs)
  }
  await finished
  for (const connection of connections) connection.close()

  const cpu = process.cpuUsage(cpuBefore)
  const seconds = (lastAnswerAt - startedAt) / 1000
  const sorted = latencies.subarray(0, answered).sort()
  const quantile = (share: number): number =>
    sorted[Math.min(answered - 1, Math.floor(answered * share))] ?? Number.NaN
  return {
    sent,
    accepted,
    refused,
    failed,
    seconds,
    rate: answered / seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
