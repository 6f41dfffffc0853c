import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { DeviceEvent } from '#domain/devices/device-event-store.ts'
import type { EventFollower, Following } from '#domain/devices/event-feed.ts'
import { openStream } from './event-stream.ts'

const vector = (
  JSON.parse(
    readFileSync(
      new URL('../../../../protocol/test-vectors/device-vectors.json', import.meta.url),
      'utf8',
    ),
  ) as { sse: { text: string } }
).sse

const available: DeviceEvent = {
  id: '01KS51D0WT0000000000000EV2',
  userId: null,
  type: 'approval.available',
  data: { approvalId: '01KS51D0WG000000000000TMS1', expiresAt: '2026-05-21T10:35:50.000Z' },
  createdAtMs: Date.UTC(2026, 4, 21, 10, 30, 50, 10),
}

/** A server whose every answer is a stream of the given events; the other end reads when it is told. */
class StreamBench {
  follower: EventFollower | undefined
  response: ServerResponse | undefined
  isClosed = false
  text = ''
  socket: Socket | undefined
  readonly #server = createServer((_request, response) => {
    this.response = response
    response.writeHead(200)
    openStream(response, this.#following)
  })
  readonly #following: Following

  constructor(events: readonly DeviceEvent[], positionId = '') {
    this.#following = {
      replayed: { events, hasMore: false, isOver: false },
      positionId,
      start: (follower, first) => {
        this.follower = follower
        if (first.length > 0) void follower.deliver(first)
      },
      close: () => {
        this.isClosed = true
      },
    }
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const { port } = this.#server.address() as AddressInfo
    this.socket = connect({ port, host: '127.0.0.1' })
    this.socket.on('error', () => {})
    // HTTP/1.0 has no chunks: what comes behind the head is the stream's text.
    this.socket.write('GET / HTTP/1.0\r\n\r\n')
    this.socket.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
    })
    await expect.poll(() => this.follower).toBeDefined()
    return this
  }

  get body(): string {
    return this.text.slice(this.text.indexOf('\r\n\r\n') + 4)
  }

  close(): void {
    this.socket?.destroy()
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

let bench: StreamBench | undefined
afterEach(() => bench?.close())

describe('the text of a stream', () => {
  test('is that of the published vector, byte for byte', async () => {
    bench = await new StreamBench([available]).open()
    bench.follower?.beat()
    await expect.poll(() => bench?.body).toBe(vector.text)
  })

  test('has no id for what lies at or before the position, nor for what is told behind a greater id', async () => {
    const later = { ...available, id: '01KS51DKE80000000000000EV3' }
    const between = { ...available, id: '01KS51DKE70000000000000EV9' }
    bench = await new StreamBench([available, later], available.id).open()
    await bench.follower?.deliver([between])
    await expect.poll(() => bench?.body.match(/data: /g)?.length).toBe(3)
    expect(bench.body.match(/^id: .*$/gm)).toEqual([`id: ${later.id}`])
  })

  test('holds what a name contains on one line', async () => {
    const data = { lockReason: 'one\ntwo\r\n\r\nevent: forged' }
    bench = await new StreamBench([{ ...available, type: 'client.locked', data }]).open()
    await expect.poll(() => bench?.body.endsWith('\n\n')).toBe(true)
    expect(bench.body.match(/^event: .*$/gm)).toEqual(['event: client.locked'])
  })
})

describe('a device that does not read', () => {
  const big = { ...available, data: { lockReason: 'x'.repeat(200_000) } }

  /** Tells events until the system's own buffers take no more. */
  async function fill({
    follower,
  }: StreamBench): Promise<{ stuck: Promise<void>; rounds: number }> {
    for (let rounds = 1; rounds < 500; rounds++) {
      const taken = follower?.deliver([big])
      if (taken === undefined) continue
      const later = new Promise((resolve) => setTimeout(resolve, 100, 'stuck'))
      if ((await Promise.race([taken, later])) === 'stuck') return { stuck: taken, rounds }
    }
    throw new Error('The system takes everything.')
  }

  test('is waited for, not written to, and goes on where it stopped', async () => {
    bench = await new StreamBench([]).open()
    bench.socket?.pause()
    const { stuck, rounds } = await fill(bench)
    let isTaken = false
    void stuck.then(() => {
      isTaken = true
    })
    const held = bench.response?.writableLength ?? 0
    for (let beats = 0; beats < 1_000; beats++) bench.follower?.beat()
    expect(bench.response?.writableLength).toBe(held)
    expect(isTaken).toBe(false)
    bench.socket?.resume()
    await expect.poll(() => isTaken).toBe(true)
    await expect.poll(() => bench?.body.match(/data: /g)?.length).toBe(rounds)
  })

  test('is cut off after ten seconds', async () => {
    bench = await new StreamBench([]).open()
    bench.socket?.pause()
    const { stuck } = await fill(bench)
    await stuck
    expect(bench.isClosed).toBe(true)
  }, 20_000)
})

describe('the end', () => {
  test('comes in order behind what was told', async () => {
    bench = await new StreamBench([available]).open()
    bench.follower?.end()
    await expect.poll(() => bench?.isClosed).toBe(true)
    await expect.poll(() => bench?.body.endsWith('\n\n')).toBe(true)
  })

  test('of the device is seen', async () => {
    bench = await new StreamBench([available]).open()
    bench.socket?.destroy()
    await expect.poll(() => bench?.isClosed).toBe(true)
  })
})
