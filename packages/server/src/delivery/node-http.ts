/**
 * Node's HTTP client. Not imported: an `import` of `node:http` loads everything that it exports, and so WebSocket and
 * `fetch`, 6 MiB that nobody here calls.
 */
export const { Agent: HttpAgent, request: requestHttp } = process.getBuiltinModule('node:http')
