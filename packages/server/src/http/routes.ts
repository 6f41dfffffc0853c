import type { Operation } from './contract.ts'

/** One path of a contract as the router wants it. */
export interface RoutePath {
  /** `/okm/v1/okms/:p0`. Parameters are numbered, because routers do not take every name a contract may use. */
  readonly url: string
  /** Names of the parameters in order. */
  readonly names: readonly string[]
}

/** `/a/{b-c}.yaml` → `/a/:p0.yaml` and `['b-c']`. */
export function routePath(basePath: string, path: string): RoutePath {
  const names: string[] = []
  const pattern = path.replaceAll(/\{([^}]+)\}|:/g, (found, name: string | undefined) => {
    if (name === undefined) return found + found
    names.push(name)
    return `:${parameterKey(names.length - 1)}`
  })
  return { url: basePath + pattern, names }
}

/** The router's name of the parameter at a place. */
export function parameterKey(index: number): string {
  return `p${index}`
}

/** Finds out which methods a path knows, for methods that the router itself does not know. */
export function pathPattern(basePath: string, path: string): RegExp {
  const escaped = (basePath + path).replaceAll(/\{[^}]+\}|[.*+?^$()|[\]\\]/g, (found) =>
    found.startsWith('{') ? '[^/]+' : `\\${found}`,
  )
  return new RegExp(`^${escaped}/?$`)
}

/** Whether there are URLs that both paths describe: `/users/me` and `/users/{id}`. */
export function pathsOverlap(one: string, other: string): boolean {
  const segments = one.split('/')
  const others = other.split('/')
  return (
    segments.length === others.length &&
    segments.every((segment, index) => {
      const opposite = others[index] ?? ''
      return segment === opposite || segment.includes('{') || opposite.includes('{')
    })
  )
}

/** `GET` also stands for `HEAD`. */
export function allowedMethods(operations: readonly Operation[]): readonly string[] {
  const methods: string[] = []
  for (const { method } of operations)
    methods.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]))
  return methods
}
