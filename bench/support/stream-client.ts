/**
 * Holds event streams over plain sockets. Reads lines `port base64(request)`, opens them, and writes `open` for each that
 * the server answered with 200, `event <id> <ms>` for each approval that arrives, and `end` for each that ended.
 */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

function open(port: number, request: string): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let isOpen = false
  socket.setEncoding('latin1')
  socket.write(request)
  socket.on('data', (text) => {
    const now = performance.timeOrigin + performance.now()
    if (!isOpen) {
      isOpen = true
      const line = String(text)
      process.stdout.write(
        line.startsWith('HTTP/1.1 200') ? 'open\n' : `refused ${line.slice(0, 12)}\n`,
      )
    }
    for (const [, id] of String(text).matchAll(/"approvalId":"(\w+)"/g)) {
      process.stdout.write(`event ${id} ${now}\n`)
    }
  })
  socket.on('error', () => {})
  socket.on('close', () => process.stdout.write('end\n'))
}

for await (const line of createInterface({ input: process.stdin })) {
  const [port = '', request = ''] = line.split(' ')
  open(Number(port), Buffer.from(request, 'base64').toString('latin1'))
}
process.exit()
