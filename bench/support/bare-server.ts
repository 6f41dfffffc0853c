/** What everything is compared with: Fastify with nothing but one POST that parses and answers the JSON of `verifyCode`. */
import { fastify } from 'fastify'

interface VerifyBody {
  readonly token: { readonly serial: string }
  readonly code: string
}

const text = { type: 'string' } as const
const result = {
  type: 'object',
  properties: {
    result: text,
    userId: text,
    credential: { type: 'object', properties: { kind: text, id: text, serial: text } },
    auditId: text,
  },
} as const

const app = fastify()
app.post<{ Body: VerifyBody }>(
  '/api/v1/tenants/:tenantId/verify',
  { schema: { response: { 200: result } } },
  async (request) => {
    const { serial } = request.body.token
    return {
      result: 'ACCEPTED',
      userId: `user-${serial}`,
      credential: { kind: 'TOKEN', id: '01M7YRRT80W6YXCRNKT3KKMRE1', serial },
      auditId: '01M7YS269JA6VETBJV1CD9EGT2',
    }
  },
)

const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${JSON.stringify({ level: 'info', msg: 'listening', url })}\n`)
