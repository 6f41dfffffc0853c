import { parseArgs } from 'node:util'

/** The few options of curl that the README uses, for machines without curl: -s -S -f -X -H -d. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      silent: { type: 'boolean', short: 's' },
      'show-error': { type: 'boolean', short: 'S' },
      fail: { type: 'boolean', short: 'f' },
      request: { type: 'string', short: 'X' },
      header: { type: 'string', short: 'H', multiple: true },
      data: { type: 'string', short: 'd' },
    },
  })
  const [url] = positionals
  if (url === undefined || positionals.length !== 1) throw new Error('one URL, please')
  const headers = (values.header ?? []).map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const reply = await fetch(url, {
    method: values.request ?? (values.data === undefined ? 'GET' : 'POST'),
    headers,
    redirect: 'manual',
    ...(values.data === undefined ? {} : { body: values.data }),
  })
  if (values.fail && reply.status >= 400) return 22
  process.stdout.write(Buffer.from(await reply.arrayBuffer()))
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (process.argv.some((text) => /^-\w*S/.test(text))) {
    process.stderr.write(`curl: ${error instanceof Error ? error.message : 'failed'}\n`)
  }
  process.exitCode = 7
}
