import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'

const roots: Readonly<Record<string, URL>> = {
  'device-sdk': new URL('.', import.meta.resolve('@countersign/device-sdk/device.ts')),
  protocol: new URL('../', import.meta.resolve('@countersign/protocol/encoding/json.ts')),
}
const entry = '/modules/device-sdk/simulator/phone-page.ts'
const filesMax = 200

/**
 * The files of the page by their path: the page itself, and every module that it reaches, types stripped. Nothing else
 * can be asked for.
 */
export function readPageModules(): ReadonlyMap<string, string> {
  const files = new Map([
    ['/', read('/modules/device-sdk/simulator/phone-page.html')],
    ['/phone-page.css', read('/modules/device-sdk/simulator/phone-page.css')],
  ])
  const waiting = [entry]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue
    if (files.size >= filesMax) throw new RangeError('The page has too many modules.')
    const code = withoutTypes(read(path))
    files.set(path, code)
    for (const [, specifier = ''] of code.matchAll(/^(?:import|export)\b[^'"]*?from '([^']+)'/gm)) {
      waiting.push(pathOf(specifier, path))
    }
  }
  return files
}

/** As the import map of the page resolves it. */
function pathOf(specifier: string, from: string): string {
  const own = '@countersign/'
  if (specifier.startsWith(own)) return `/modules/${specifier.slice(own.length)}`
  if (specifier.startsWith('.')) return new URL(specifier, `http://phone.invalid${from}`).pathname
  throw new TypeError(`The page cannot import ${specifier}.`)
}

function read(path: string): string {
  const [, , name = '', ...rest] = path.split('/')
  const root = roots[name]
  if (root === undefined) throw new TypeError(`The page cannot read ${path}.`)
  return readFileSync(new URL(rest.join('/'), root), 'utf8')
}

/** Node warns that stripping may change; what it does here is what it does to run the program itself. */
function withoutTypes(code: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(code)
  } finally {
    process.emitWarning = emitWarning
  }
}
