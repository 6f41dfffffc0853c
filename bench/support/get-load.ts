/**
 * Sends prepared GET requests over keep-alive connections, one after another on each, as a process of its own. Takes
 * `GetJob`s as messages from its parent and answers each with a `GetResult`.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { GetJob, GetResult } from './get-job.ts'

async function run({ port, connections, seconds, path, query, serials, apiKey }: GetJob) {
  const head = [
    'Host: 127.0.0.1',
    ...(apiKey === undefined ? [] : [`Authorization: Bearer ${apiKey}`]),
  ]
  const requests = (serials.length === 0 ? [''] : serials).map((serial) =>
    Buffer.from(`GET ${path}${serial}${query} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`, 'latin1'),
  )
  const statuses: Record<string, number> = {}
  let sent = 0
  const startedAt = performance.now()
  const deadline = startedAt + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      await once(socket, 'connect')
      while (performance.now() < deadline) {
        const request = requests[sent++ % requests.length]
        if (request !== undefined) socket.write(request)
        let text = ''
        do {
          const [chunk] = (await once(socket, 'data')) as [Buffer]
          text += chunk.toString('latin1')
        } while (!isWhole(text))
        const status = text.slice(9, 12)
        statuses[status] = (statuses[status] ?? 0) + 1
      }
      socket.destroy()
    }),
  )
  const elapsed = (performance.now() - startedAt) / 1000
  return { sent, statuses, seconds: elapsed, rate: sent / elapsed } satisfies GetResult
}

function isWhole(text: string): boolean {
  const bodyAt = text.indexOf('\r\n\r\n') + 4
  if (bodyAt < 4) return false
  const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(text) ?? []
  return text.length >= bodyAt + Number(length)
}

process.on('message', (job: GetJob) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
