import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).sort()

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

describe('the documents', () => {
  test('that the style of the project asks for are there', () => {
    expect(documents).toEqual(
      expect.arrayContaining([
        'ARCHITECTURE.md',
        'CHANGELOG.md',
        'CONTRIBUTING.md',
        'README.md',
        'SECURITY.md',
        'docs/operations.md',
        'docs/surfaces/dualshield.md',
      ]),
    )
  })

  test.each(documents)('%s links to nothing that is not there', (path) => {
    const links = [...read(path).matchAll(/\]\(([^)#\s]+)(?:#[^)\s]*)?\)/g)].map(
      ([, target = '']) => target,
    )
    const local = links.filter((target) => !/^[a-z]+:/.test(target))
    const missing = local.filter((target) => !existsSync(join(root, dirname(path), target)))
    expect(missing).toEqual([])
  })

  test('numbers decisions without a gap, and gives each the three parts', () => {
    const decisions = documents.filter((path) => path.startsWith('docs/decisions/'))
    expect(decisions.length).toBeGreaterThan(0)
    for (const [index, path] of decisions.entries()) {
      const number = String(index + 1).padStart(4, '0')
      expect(path).toMatch(new RegExp(`/${number}-[a-z0-9-]+\\.md$`))
      expect(read(path)).toMatch(
        new RegExp(
          `^# ${number} [^]*\\n## Context\\n[^]*\\n## Decision\\n[^]*\\n## Consequences\\n`,
        ),
      )
    }
  })
})

describe('SECURITY.md', () => {
  const sources = globSync('packages/{protocol,server}/**/*.test.ts', {
    cwd: root,
    exclude: (name) => name.includes('node_modules'),
  }).map(read)
  const rows = [...read('SECURITY.md').matchAll(/^\| (.+) \| (.+) \| (.+) \|$/gm)]
  const titles = rows
    .flatMap(([, , , shownBy = '']) => [...shownBy.matchAll(/`([^`]+)`/g)])
    .map(([, title = '']) => title)
    .filter((title) => title.includes(' '))

  test('names tests at all', () => {
    expect(titles.length).toBeGreaterThan(5)
  })

  test.each(titles)('names a test that exists: %s', (title) => {
    const [beginning = ''] = title.split('…')
    expect(sources.filter((source) => source.includes(beginning))).not.toEqual([])
  })
})
