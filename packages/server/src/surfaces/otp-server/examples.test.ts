import { describe, expect, test } from 'vitest'
import { toDefinition } from '#http/schema.ts'
import { SchemaCompiler } from '#http/validator.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { readXmlReply } from '#test/support/xml-reply.ts'
import { requireValid } from './otp-server.fixture.ts'

const contract = contractOf('otp-server')
const examples = contract.operations.flatMap(({ id, responses }) =>
  responses.flatMap(({ status, contents }) =>
    contents
      .filter(({ mediaType }) => mediaType === 'application/xml')
      .flatMap(({ schema, examples: named }) =>
        Object.entries(named).map(([name, text]) => ({
          where: `${id} ${status} ${name}`,
          schema: schema ?? true,
          text: String(text),
        })),
      ),
  ),
)

describe('the examples of the contract', () => {
  test('are there', () => {
    expect(examples.length).toBeGreaterThan(60)
  })

  test('fit the schemas of the contract', () => {
    const compiler = new SchemaCompiler(contract.definitions)
    for (const { where, schema, text } of examples) {
      const value = readXmlReply(Buffer.from(text), schema, contract)
      expect(compiler.compile(toDefinition(schema))(value), where).toBeUndefined()
    }
  })

  test('fit the XSD', async () => {
    await requireValid(new Map(examples.map(({ where, text }) => [text, where])))
  })
})

describe('the XSD', () => {
  test.each([
    '<otp-list/>',
    '<otp-list id="F000D9D5-D97D-4347-B4FF-E2EDB72B35FD"/>',
    '<otp-list id="f000d9d5-d97d-4347-b4ff-e2edb72b35fd" expires=""/>',
    '<otp-list id="f000d9d5-d97d-4347-b4ff-e2edb72b35fd"><sequence/></otp-list>',
    '<error status="404">Server Errors</error>',
    '<user-info/>',
    '<verify-response result="accepted"/>',
    '<unknown/>',
  ])('takes no %s', async (text) => {
    await expect(requireValid(new Map([[text, 'x']]))).rejects.toThrow(/otp-server\.xsd/)
  })
})
