import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Content, Contract } from '#http/contract.ts'
import { isJson } from '#http/media-type.ts'
import { toDefinition } from '#http/schema.ts'
import { PrunerCompiler } from '#http/serialise.ts'
import { writeTypes } from '#http/type-writer.ts'
import { SchemaCompiler } from '#http/validator.ts'
import { contractOf, surfaceNames, surfacesFolder } from './support/contract-files.ts'

describe.each(surfaceNames)('the contract of %s', (name) => {
  const contract = contractOf(name)

  test('compiles: every parameter, every request and every reply', () => {
    const compiler = new SchemaCompiler(contract.definitions)
    for (const { parameters, requestBody, responses } of contract.operations) {
      for (const { schema } of parameters) compiler.compile(toDefinition(schema))
      for (const { schema } of requestBody?.contents ?? [])
        compiler.compile(toDefinition(schema ?? true))
      for (const { schema } of responses.flatMap(({ contents }) => contents)) {
        compiler.compile(toDefinition(schema ?? true))
      }
    }
    expect(contract.operations.length).toBeGreaterThan(0)
  })

  test('has examples that fit their own schemas', () => {
    const compiler = new SchemaCompiler(contract.definitions)
    const misfits = jsonExamples(contract).flatMap(({ where, content, value }) => {
      const faults = compiler.compile(toDefinition(content.schema ?? true))(value)
      return faults === undefined ? [] : [{ where, faults }]
    })
    expect(misfits).toEqual([])
  })

  test('explains every fault of its spoilt examples in words of their own', () => {
    const compiler = new SchemaCompiler(contract.definitions)
    for (const { where, content, value } of jsonExamples(contract)) {
      const validate = compiler.compile(toDefinition(content.schema ?? true))
      for (const spoilt of spoil(value)) {
        const messages = (validate(spoilt) ?? []).map(({ message }) => message)
        expect(messages, where).not.toContain('does not fit the contract')
      }
    }
  })

  test('lets its own examples of replies leave unchanged, and nothing that is added to them', () => {
    const pruners = new PrunerCompiler(contract.definitions)
    for (const { where, content, value } of replyExamples(contract)) {
      const prune = pruners.compile(toDefinition(content.schema ?? true))
      expect(prune(value), where).toEqual(value)
      if (isOpen(contract, content) || typeof value !== 'object' || value === null) continue
      const leaking = Array.isArray(value)
        ? value.map((item) => ({ ...item, undeclaredMember: 'leak' }))
        : { ...value, undeclaredMember: 'leak' }
      expect(prune(leaking), where).toEqual(value)
    }
  })

  test('gives the same types every time', () => {
    expect(writeTypes(contract)).toBe(writeTypes(contractOf(name)))
  })

  const operationsFile = new URL(`${name}/operations.ts`, surfacesFolder)
  describe.runIf(existsSync(operationsFile))('is built', () => {
    test('only as far as it declares', async () => {
      const declared = contract.operations.map(({ id }) => id)
      expect(declared).toEqual(expect.arrayContaining(await builtOperations(operationsFile)))
    })

    test('with a test of its own for every operation: a describe() named by the operationId', async () => {
      const tests = testSources(new URL(`${name}/`, surfacesFolder))
      const untested = (await builtOperations(operationsFile)).filter(
        (id) => !new RegExp(`\\bdescribe(\\.\\w+\\([^)]*\\))?\\(\\s*['"\`]${id}\\b`).test(tests),
      )
      expect(untested).toEqual([])
    })
  })
})

interface Example {
  readonly where: string
  readonly content: Content
  readonly value: unknown
}

function jsonExamples(contract: Contract): Example[] {
  return contract.operations.flatMap(({ id, requestBody, responses }) => [
    ...examplesOf(`${id} request`, requestBody?.contents ?? []),
    ...responses.flatMap(({ status, contents }) => examplesOf(`${id} ${status}`, contents)),
  ])
}

function replyExamples({ operations }: Contract): Example[] {
  return operations.flatMap(({ id, responses }) =>
    responses.flatMap(({ status, contents }) => examplesOf(`${id} ${status}`, contents)),
  )
}

function examplesOf(where: string, contents: readonly Content[]): Example[] {
  return contents
    .filter(({ mediaType }) => isJson(mediaType))
    .flatMap((content) =>
      Object.entries(content.examples).map(([name, value]) => ({
        where: `${where} ${name}`,
        content,
        value,
      })),
    )
}

/** The value with one thing wrong: a member missing, one too many, or something of another type. */
function* spoil(value: unknown): Generator<unknown> {
  yield null
  yield { unexpected: true }
  yield typeof value === 'string' ? -1.5 : ''
  if (Array.isArray(value)) {
    yield [...value, ...value]
    for (const [index, item] of value.entries()) {
      for (const spoilt of spoil(item)) yield value.with(index, spoilt)
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, unexpected: true }
    for (const [name, member] of Object.entries(value)) {
      const { [name]: _, ...others } = value as Record<string, unknown>
      yield others
      for (const spoilt of spoil(member)) yield { ...value, [name]: spoilt }
    }
  }
}

/** Whether the contract allows members beyond those it names. */
function isOpen(contract: Contract, { schema }: Content): boolean {
  const seen = new Set<unknown>()
  const pending: unknown[] = [schema]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (typeof node !== 'object' || node === null || seen.has(node)) continue
    seen.add(node)
    if ('additionalProperties' in node && node.additionalProperties !== false) return true
    if ('$ref' in node) pending.push(contract.schemas[String(node.$ref).split('/').at(-1) ?? ''])
    for (const key of ['allOf', 'oneOf', 'anyOf']) {
      if (key in node) pending.push(...((node as Record<string, unknown[]>)[key] ?? []))
    }
  }
  return false
}

async function builtOperations(file: URL): Promise<string[]> {
  const { operations }: { operations: Record<string, unknown> } = await import(file.href)
  return Object.keys(operations)
}

function testSources(folder: URL): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(new URL(file, folder), 'utf8'))
    .join('\n')
}
