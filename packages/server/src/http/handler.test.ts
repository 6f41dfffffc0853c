import { describe, expect, test } from 'vitest'
import type { BuiltOperations, Handler, Reply } from './handler.ts'

interface Core {
  readonly name: string
}

/** Written as `contract.gen.ts` is. */
interface Operations {
  readonly getBox: {
    readonly params: { readonly id: string }
    readonly query: { readonly limit: number }
    readonly headers: Record<never, never>
    readonly body: undefined
    readonly replies: {
      readonly 200: { readonly 'application/json': { readonly name: string } }
      readonly 204: null
    }
  }
  readonly exportBox: {
    readonly params: Record<never, never>
    readonly query: Record<never, never>
    readonly headers: Record<never, never>
    readonly body: { readonly form: string }
    readonly replies: {
      readonly 201: {
        readonly 'application/json': { readonly name: string }
        readonly 'text/csv': string
      }
    }
  }
}

type GetBox = Handler<Operations['getBox'], Core, string>
type GetBoxReply = Reply<Operations['getBox']['replies']>
type ExportReply = Reply<Operations['exportBox']['replies']>

const getBox: GetBox = async ({ core, caller, params, query }) =>
  query.limit > 1
    ? { status: 200, body: { name: core.name + caller + params.id } }
    : { status: 204 }
const exportBox: Handler<Operations['exportBox'], Core, string> = async ({ body }) => ({
  status: 201,
  contentType: 'text/csv',
  body: body.form,
})

// Every line below an expected error is one that must not compile; the type checker is the test.
describe('the type of', () => {
  test('a reply allows declared statuses with their bodies only', () => {
    const replies: GetBoxReply[] = [
      { status: 200, body: { name: 'a' }, headers: { etag: '1' } },
      { status: 200, contentType: 'application/json', body: { name: 'a' } },
      { status: 204 },
      // @ts-expect-error 201 is not declared.
      { status: 201, body: { name: 'a' } },
      // @ts-expect-error The body has another type.
      { status: 200, body: { name: 1 } },
      // @ts-expect-error The member is not declared.
      { status: 200, body: { name: 'a', secret: 'b' } },
      // @ts-expect-error 204 has no body.
      { status: 204, body: { name: 'a' } },
      // @ts-expect-error The media type is not declared.
      { status: 200, contentType: 'text/csv', body: { name: 'a' } },
    ]
    expect(replies).toHaveLength(8)
  })

  test('a reply with several media types asks which', () => {
    const replies: ExportReply[] = [
      { status: 201, contentType: 'text/csv', body: 'a,b' },
      { status: 201, contentType: 'application/json', body: { name: 'a' } },
      // @ts-expect-error Which one?
      { status: 201, body: { name: 'a' } },
      // @ts-expect-error CSV is text.
      { status: 201, contentType: 'text/csv', body: { name: 'a' } },
    ]
    expect(replies).toHaveLength(4)
  })

  test('built operations knows exactly the ids that are named', () => {
    const both = { getBox, exportBox } satisfies BuiltOperations<
      Operations,
      'getBox' | 'exportBox',
      Core,
      string
    >
    // @ts-expect-error One is missing.
    const missing = { getBox } satisfies BuiltOperations<Operations, keyof Operations, Core, string>
    const misspelt = {
      getBox,
      // @ts-expect-error No such operation was named.
      exportBoxx: exportBox,
    } satisfies BuiltOperations<Operations, 'getBox', Core, string>
    // @ts-expect-error The contract has no such operation.
    type Unknown = BuiltOperations<Operations, 'getBoxx', Core, string>
    const unknown: Unknown | undefined = undefined
    expect([both, missing, misspelt, unknown]).toHaveLength(4)
  })
})
