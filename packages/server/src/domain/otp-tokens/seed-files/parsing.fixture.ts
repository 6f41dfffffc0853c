import { expect } from 'vitest'
import { DomainError } from '#domain/errors.ts'
import { parseSeedFile } from './parse-seed-file.ts'
import type { SeedFile } from './seed-file.ts'

/** Parses a text of any format, as an import without further wishes would. */
export function parse(
  text: string,
  keys: { key?: string; password?: string } = {},
): Promise<SeedFile> {
  return parseSeedFile({ text, format: 'AUTO', encoding: 'BASE32', ...keys })
}

/** The DomainError with which the work fails. */
export async function refusal(work: Promise<unknown>): Promise<DomainError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DomainError)
  return error as DomainError
}

/** All that comes out of a stream. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}
