import { posix } from 'node:path'

/** One source file; `path` is relative to the repository and written with slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

export interface Import {
  /** Repository path of one of our files, or the name of a package or built-in module. */
  readonly target: string
  readonly isOurs: boolean
  readonly isTypeOnly: boolean
  /** By `import()`: loaded when somebody needs it. */
  readonly isDeferred: boolean
  readonly names: readonly string[]
}

const source = 'packages/server/src/'
const protocol = 'packages/protocol/'
const deviceSdk = 'packages/device-sdk/'

/** What a layer may import beside itself; style.md's table. `protocol` lies under all. */
const allowedLayers: Readonly<Record<string, readonly string[]>> = {
  surfaces: ['http', 'domain', 'printing', 'protocol'],
  printing: ['domain', 'protocol'],
  http: ['domain', 'protocol'],
  delivery: ['domain', 'protocol'],
  push: ['domain', 'protocol'],
  domain: ['custody', 'protocol'],
  custody: ['protocol'],
  storage: ['protocol'],
  protocol: [],
  'device-sdk': ['protocol'],
}

/** The device side is another program: of the server's, only the simulator and tests know it. */
const simulator = `${source}commands/simulate/`

/** Modules that only some layers may use; `process` may use all. */
const confinedModules: readonly { readonly name: RegExp; readonly layers: readonly string[] }[] = [
  { name: /^(kysely|pg|node:sqlite)(\/|$)/, layers: ['storage'] },
  { name: /^@node-rs\/argon2/, layers: ['custody'] },
  { name: /^(pdfkit|fontkit|bidi-js)$/, layers: ['printing'] },
  {
    name: /^(node:crypto|jose)$/,
    layers: ['http', 'delivery', 'printing', 'domain', 'custody', 'storage', 'protocol'],
  },
]

/** What the protocol may use of Node: it computes, it does not read, send or wait. */
const protocolModules = /^(node:(crypto|buffer|util)|[^n]|n(?!ode:))/

/** What browsers run may use nothing of Node; keys in a file are for Node alone. */
const deviceFiles = `${deviceSdk}storage/file-storage.ts`

/** Protocol that devices run: with all that it imports it must do without Node. */
export const sharedWithDevices: readonly string[] = [
  `${protocol}certificate/certificate-request.ts`,
  `${protocol}certificate/path.ts`,
  `${protocol}message/device-jws.ts`,
  `${protocol}message/signed-data.ts`,
]

/** Functions that make or use private keys. */
const privateKeyNames = new Set([
  'createPrivateKey',
  'generateKeyPair',
  'generateKeyPairSync',
  'createSign',
  'sign',
  'privateDecrypt',
  'createECDH',
  'SignJWT',
  'CompactSign',
  'FlattenedSign',
  'GeneralSign',
  'importPKCS8',
  'exportPKCS8',
])

const vagueNames = /^(utils?|helpers?|common|managers?|misc)$|-(utils?|helpers?|manager)$/
const sourceLinesMax = 400
const testLinesMax = 800

/** Tests and what supports them may import anything, and are imported by nothing else. */
export function isTest(path: string): boolean {
  return /\.(test|fixture|vectors)\.ts$/.test(path) || path.startsWith('packages/server/test/')
}

/**
 * The layer of a file: a name of the import table, `process` for the files that start and wire the server, undefined for
 * what is neither.
 */
export function layerOf(path: string): string | undefined {
  if (path.startsWith(protocol)) return 'protocol'
  if (path.startsWith(deviceSdk)) return 'device-sdk'
  if (!path.startsWith(source)) return undefined
  const [first = '', ...rest] = path.slice(source.length).split('/')
  return rest.length === 0 || first === 'commands' ? 'process' : first
}

const staticImport =
  /^(?:import|export)\s+(type\s)?([^'"`;]*?)from\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]/gm
const dynamicImport = /(?<![#.\w])import\s*\(\s*(?:['"]([^'"]+)['"])?/g

/** All imports of a file: static, type-only, re-exported and dynamic ones. */
export function importsOf({ path, text }: SourceFile): readonly Import[] {
  const code = withoutComments(text)
  const imports: Import[] = []
  for (const [, typeOnly, clause = '', from, bare] of code.matchAll(staticImport)) {
    const names = [...clause.matchAll(/([A-Za-z_$][\w$]*)(?:\s+as\s+[\w$]+)?\s*(?:,|\}|$)/g)]
    imports.push({
      ...resolve(path, from ?? bare ?? ''),
      isTypeOnly: typeOnly !== undefined,
      isDeferred: false,
      names: names.map(([, name = '']) => name),
    })
  }
  for (const [, specifier = '(computed)'] of code.matchAll(dynamicImport)) {
    imports.push({ ...resolve(path, specifier), isTypeOnly: false, isDeferred: true, names: [] })
  }
  return imports
}

function resolve(path: string, specifier: string): Pick<Import, 'target' | 'isOurs'> {
  if (specifier.startsWith('.')) {
    return { target: posix.join(posix.dirname(path), specifier), isOurs: true }
  }
  if (specifier.startsWith('#test/')) {
    return { target: `packages/server/test/${specifier.slice('#test/'.length)}`, isOurs: true }
  }
  if (specifier.startsWith('#')) return { target: source + specifier.slice(1), isOurs: true }
  const own = /^@countersign\/(protocol|device-sdk)\//.exec(specifier)
  if (own !== null) {
    return { target: `packages/${specifier.slice('@countersign/'.length)}`, isOurs: true }
  }
  return { target: specifier, isOurs: false }
}

/** What a file breaks of the import table; a sentence each. */
export function importFaults(file: SourceFile): readonly string[] {
  const layer = layerOf(file.path)
  if (layer === undefined || isTest(file.path)) return []
  if (layer !== 'process' && allowedLayers[layer] === undefined) {
    return [`${file.path}: ${layer} is no layer`]
  }
  return importsOf(file).flatMap((imported) => {
    const fault = imported.isOurs
      ? faultOfOurs(file.path, layer, imported.target)
      : faultOfModule(file.path, layer, imported)
    return fault === undefined ? [] : [`${file.path}: ${fault}`]
  })
}

function faultOfOurs(path: string, layer: string, target: string): string | undefined {
  if (isTest(target)) return `imports the test file ${target}`
  const targetLayer = layerOf(target)
  if (targetLayer === undefined) return `imports ${target}, which is outside of all layers`
  if (targetLayer === 'device-sdk' && layer !== targetLayer && !path.startsWith(simulator)) {
    return `imports ${target}; only ${simulator} may`
  }
  if (layer === 'process') return undefined
  if (targetLayer === 'process') return `${layer} imports ${target}, which lies above it`
  if (layer === 'surfaces' && targetLayer === 'surfaces') {
    return surfaceOf(path) === surfaceOf(target) ? undefined : `imports another surface: ${target}`
  }
  if (layer === targetLayer || allowedLayers[layer]?.includes(targetLayer)) return undefined
  const isStore = path.endsWith('-store.ts') || path === `${source}domain/storage.ts`
  if (layer === 'domain' && targetLayer === 'storage' && isStore) return undefined
  return `${layer} may not import ${target}`
}

function surfaceOf(path: string): string | undefined {
  return path.slice(source.length).split('/')[1]
}

function faultOfModule(path: string, layer: string, { target, names }: Import): string | undefined {
  if (target === '(computed)') return 'imports a module whose name is computed'
  if (layer === 'device-sdk') {
    const isForNode = path === deviceFiles && target.startsWith('node:')
    return isForNode ? undefined : `device-sdk may not use ${target}`
  }
  if (layer === 'protocol' && !protocolModules.test(target)) return `protocol may not use ${target}`
  const rule = confinedModules.find(({ name }) => name.test(target))
  if (rule && layer !== 'process' && !rule.layers.includes(layer)) {
    return `${layer} may not use ${target}`
  }
  const isCrypto = target === 'node:crypto' || target === 'jose'
  const keyName = isCrypto && layer !== 'custody' && names.find((name) => privateKeyNames.has(name))
  return keyName ? `only custody may use ${keyName} of ${target}` : undefined
}

/** `process.env` is read by config.ts; the programs may hand it on and do nothing else with it. */
export function environmentFaults({ path, text }: SourceFile): readonly string[] {
  if (layerOf(path) === undefined || isTest(path) || path === `${source}config.ts`) return []
  const isProgram = layerOf(path) === 'process'
  const code = withoutComments(text).replaceAll(isProgram ? 'readConfig(process.env' : '\0', '')
  return /\bprocess\s*(\?\.|\.|\[\s*['"`])\s*env\b|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/.test(code)
    ? [`${path}: reads the environment; only config.ts does`]
    : []
}

/** Written by a program, or a published table. */
function isData(path: string): boolean {
  return path.endsWith('.gen.ts') || path.endsWith('.vectors.ts')
}

/** Names that say nothing, default exports, files too long to read. */
export function shapeFaults({ path, text }: SourceFile): readonly string[] {
  const faults: string[] = []
  const name = posix.basename(path).replace(/(\.(test|fixture|vectors|gen))?\.ts$/, '')
  const folder = posix.basename(posix.dirname(path))
  if (vagueNames.test(name) || vagueNames.test(folder)) faults.push('has a name that says nothing')
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) faults.push('is not named in kebab-case')
  if (/^export\s+default\b|^export\s*\{[^}]*\bas\s+default\b/m.test(withoutComments(text))) {
    faults.push('has a default export')
  }
  const linesMax = isTest(path) ? testLinesMax : sourceLinesMax
  const lineCount = text.split('\n').length
  if (!isData(path) && lineCount > linesMax) {
    faults.push(`has ${lineCount} lines; ${linesMax} are the most`)
  }
  return faults.map((fault) => `${path}: ${fault}`)
}

/** Every module of others that is loaded with a file, before anything is asked of it. */
export function loadedWith(path: string, files: readonly SourceFile[]): ReadonlySet<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const loaded = new Set<string>()
  const reached = new Set<string>()
  const visit = (visited: string): void => {
    const file = byPath.get(visited)
    if (file === undefined || reached.has(visited)) return
    reached.add(visited)
    for (const { target, isOurs, isTypeOnly, isDeferred } of importsOf(file)) {
      if (isTypeOnly || isDeferred) continue
      if (isOurs) visit(target)
      else loaded.add(target)
    }
  }
  visit(path)
  return loaded
}

/** Chains of files that import each other and cross a folder; types do not count, they are gone when the code runs. */
export function cycleFaults(files: readonly SourceFile[]): readonly string[] {
  const importsByPath = new Map<string, readonly string[]>()
  for (const file of files) {
    const targets = importsOf(file).filter(({ isOurs, isTypeOnly }) => isOurs && !isTypeOnly)
    importsByPath.set(
      file.path,
      targets.map(({ target }) => target),
    )
  }
  const faults: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      const cycle = [...trail.slice(start), path]
      const folders = new Set(cycle.map((member) => posix.dirname(member)))
      if (folders.size > 1) faults.push(`cycle: ${cycle.join(' → ')}`)
      return
    }
    if (done.has(path)) return
    for (const target of importsByPath.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return faults
}

/** Comments become blanks; texts that hold comment signs are kept. */
export function withoutComments(text: string): string {
  return text.replace(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|(?<![:\\/])\/\/.*/g,
    (match, quoted: string | undefined) => quoted ?? match.replace(/[^\n]/g, ' '),
  )
}
