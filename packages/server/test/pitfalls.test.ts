import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

describe('docs/pitfalls.md', () => {
  const rows = [...read('docs/pitfalls.md').matchAll(/^\| (R\d+) \|(.*)\|$/gm)].map(
    ([, number = '', cells = '']) => ({ number, shownBy: cells.split('|').at(-1)?.trim() ?? '' }),
  )

  test('has R1 to R20', () => {
    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: 20 }, (_, index) => `R${index + 1}`),
    )
  })

  test.each(rows)('$number names tests that exist, or says that the feature does not', (row) => {
    const { number, shownBy } = row
    const proofs = proofsOf(shownBy)
    if (proofs.length === 0) {
      expect(shownBy).toMatch(/^Not yet: .+\.$/)
      return
    }
    expect(proofs.filter(({ path, name }) => !hasTest(path, name))).toEqual([])
    expect(proofs.some(({ name }) => name.startsWith(`${number}: `))).toBe(true)
  })

  test('a test that is not there is noticed', () => {
    const cell =
      '[a](../packages/server/test/architecture.test.ts) "R20: one", "R20: two"; [b](../c.test.ts) "d"'
    const path = 'packages/server/test/architecture.test.ts'
    expect(proofsOf(cell)).toEqual([
      { path, name: 'R20: one' },
      { path, name: 'R20: two' },
      { path: 'c.test.ts', name: 'd' },
    ])
    expect(hasTest(path, 'R20: two')).toBe(false)
    expect(hasTest('c.test.ts', 'd')).toBe(false)
  })
})

interface Proof {
  readonly path: string
  readonly name: string
}

/** Links to test files, each followed by names of tests in quotes. */
function proofsOf(cell: string): readonly Proof[] {
  const links = cell.matchAll(/\]\(\.\.\/([^)]+\.test\.ts)\)((?:,? "[^"]+")+)/g)
  return [...links].flatMap(([, path = '', names = '']) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ path, name })),
  )
}

function hasTest(path: string, name: string): boolean {
  return existsSync(join(root, path)) && read(path).includes(name)
}
