/** A receiver in a process of its own: takes everything at once, or with `hang` never answers. Prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const hangs = process.argv[2] === 'hang'
const server = createServer((request, response) => {
  request.resume()
  if (!hangs) request.once('end', () => response.writeHead(204).end())
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
