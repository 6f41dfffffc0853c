import { fastify, LogController } from 'fastify'
import { expect, test } from 'vitest'
import type { LogLevel } from './config.ts'
import { createLogger, logResponse } from './logging.ts'

type Line = Record<string, unknown>

function capture(level: LogLevel = 'info') {
  const written: string[] = []
  const destination = { write: (text: string) => void written.push(text) }
  const logger = createLogger({ level, node: 'node-1', destination })
  const lines = () => written.map((text) => JSON.parse(text) as Line)
  return { logger, lines, written }
}

test('a line has time, level, msg and node, and nothing of the process', () => {
  const { logger, lines, written } = capture()
  logger.warn({ url: 'http://127.0.0.1:8080' }, 'two\nlines')
  expect(written).toHaveLength(1)
  expect(written[0]?.match(/\n/g)).toHaveLength(1)
  expect(lines()).toEqual([
    {
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      node: 'node-1',
      url: 'http://127.0.0.1:8080',
      msg: 'two\nlines',
    },
  ])
})

test('lines below the level are left out', () => {
  const { logger, lines } = capture('error')
  logger.warn('no')
  logger.error('yes')
  logger.fatal('yes too')
  expect(lines().map(({ level }) => level)).toEqual(['error', 'fatal'])
})

test('an error keeps type, code, message, stack and cause, and loses what a library hung on it', () => {
  const { logger, lines } = capture()
  const cause = Object.assign(new Error('connection lost'), { code: '57P01', detail: 'row 755224' })
  logger.error(
    { err: Object.assign(new TypeError('no answer', { cause }), { body: 'otp=755224' }) },
    'x',
  )
  expect(lines()[0]?.err).toMatchObject({
    type: 'TypeError',
    message: 'no answer',
    stack: expect.stringContaining('logging.test.ts'),
    cause: { type: 'Error', code: '57P01', message: 'connection lost' },
  })
  expect(JSON.stringify(lines())).not.toContain('755224')
})

test('an endless chain of causes ends', () => {
  const { logger, lines } = capture()
  const error = new Error('loop')
  error.cause = error
  logger.error({ err: error }, 'x')
  expect(JSON.stringify(lines()[0]?.err).match(/"message":"loop"/g)).toHaveLength(6)
})

async function answerThree(level: LogLevel) {
  const { logger, lines } = capture(level)
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId',
    }),
    genReqId: () => '01M7YRRT808A9NYTDXX0X5X0P4',
  })
  app.addHook('onResponse', async (request, reply) => logResponse(request, reply))
  app.get('/tickets/:ticket', (_, reply) => reply.code(204).send())
  app.get('/broken', () => {
    throw new Error('broken inside')
  })
  await app.inject({
    url: '/tickets/s3cret?otp=755224',
    headers: { authorization: 'Bearer csk_x' },
  })
  await app.inject({ url: '/broken?otp=755224' })
  await app.inject({ url: '/nowhere/s3cret' })
  await app.close()
  return lines()
}

test('a request is a debug line with its id and its route, never its URL or headers', async () => {
  const lines = await answerThree('debug')
  expect(lines[0]).toEqual({
    level: 'debug',
    time: expect.any(String),
    node: 'node-1',
    requestId: '01M7YRRT808A9NYTDXX0X5X0P4',
    method: 'GET',
    route: '/tickets/:ticket',
    status: 204,
    durationMs: expect.any(Number),
    msg: 'request answered',
  })
  const text = JSON.stringify(lines)
  for (const secret of ['s3cret', '755224', 'csk_x']) expect(text).not.toContain(secret)
})

test('at info, requests leave no line of their own', async () => {
  expect(await answerThree('info')).toEqual([])
})
