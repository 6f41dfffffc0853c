import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { contractOf } from '#test/support/contract-files.ts'
import { operations } from './operations.ts'

const document = readFileSync(
  new URL('../../../../../docs/surfaces/ast.md', import.meta.url),
  'utf8',
)
const contract = contractOf('ast')

/** Who names the path, in the words of the document. */
const origins: Readonly<Record<string, string>> = {
  seed: 'page',
  documented: 'public',
  designed: 'ours',
}

const rows = [
  ...document.matchAll(/^\| .+ \| `(\w+)` \| `([A-Z]+) (\/\S+)` \| (page|public|ours) \|$/gm),
].map(([, id, method, path, origin]) => `${id} ${method} ${path} ${origin}`)

test('the document has every operation of the contract, with its request and where its path is from', () => {
  const promised = contract.operations.map(
    ({ id, method, path, extensions }) =>
      `${id} ${method.toUpperCase()} ${path} ${origins[String(extensions['x-path-source'])]}`,
  )
  expect(rows).toHaveLength(70)
  expect(new Set(rows)).toEqual(new Set(promised))
  expect(document).toContain('| `postNonceCallback` |')
})

test('every operation of the contract is built, and the document counts them', () => {
  expect(new Set(Object.keys(operations))).toEqual(new Set(contract.operations.map(({ id }) => id)))
  const [, coverage = ''] = /^## Coverage\n([\s\S]*?)^## /m.exec(document) ?? []
  const tags = Map.groupBy(contract.operations, ({ tag }) => tag)
  for (const [tag, { length }] of tags) {
    const count = length === 1 ? 'its only operation' : `all ${length} operations`
    expect(coverage).toContain(`| ${tag} | built, ${count}`)
  }
})
