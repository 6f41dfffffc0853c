import { DeviceError } from './device-error.ts'

const listMax = 1_000

/** An object that came from the server: members are taken out with their type, or refused. Unknown ones are ignored. */
export class Answer {
  readonly #members: Readonly<Record<string, unknown>>

  /** @throws DeviceError `answer_invalid` unless it is an object. */
  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw wrong('is no object')
    }
    this.#members = value as Readonly<Record<string, unknown>>
  }

  text(name: string, pattern?: RegExp): string {
    const value = this.optionalText(name, pattern)
    if (value === undefined) throw wrong(`lacks ${name}`)
    return value
  }

  optionalText(name: string, pattern?: RegExp): string | undefined {
    const value = this.#members[name]
    if (value === undefined) return undefined
    if (typeof value !== 'string' || pattern?.test(value) === false)
      throw wrong(`has another ${name}`)
    return value
  }

  oneOf<const Value extends string>(name: string, values: readonly Value[]): Value {
    const value = this.#members[name]
    const known = values.find((candidate) => candidate === value)
    if (known === undefined) throw wrong(`has another ${name}`)
    return known
  }

  number(name: string): number {
    const value = this.optionalNumber(name)
    if (value === undefined) throw wrong(`lacks ${name}`)
    return value
  }

  optionalNumber(name: string): number | undefined {
    const value = this.#members[name]
    if (value === undefined) return undefined
    if (!Number.isSafeInteger(value)) throw wrong(`has another ${name}`)
    return Number(value)
  }

  oneOfNumbers<const Value extends number>(name: string, values: readonly Value[]): Value {
    const value = this.#members[name]
    const known = values.find((candidate) => candidate === value)
    if (known === undefined) throw wrong(`has another ${name}`)
    return known
  }

  flag(name: string): boolean {
    return this.#members[name] === true
  }

  /** An instant (RFC 3339) as epoch milliseconds. */
  optionalTime(name: string): number | undefined {
    const value = this.optionalText(name)
    if (value === undefined) return undefined
    const ms = Date.parse(value)
    if (Number.isNaN(ms)) throw wrong(`has another ${name}`)
    return ms
  }

  time(name: string): number {
    const ms = this.optionalTime(name)
    if (ms === undefined) throw wrong(`lacks ${name}`)
    return ms
  }

  object(name: string): Answer {
    return new Answer(this.#members[name])
  }

  optionalObject(name: string): Answer | undefined {
    return this.#members[name] === undefined ? undefined : this.object(name)
  }

  texts(name: string): readonly string[] {
    const values = this.#members[name]
    if (!Array.isArray(values) || values.length > listMax) throw wrong(`has other ${name}`)
    return values.map((value) => {
      if (typeof value !== 'string') throw wrong(`has other ${name}`)
      return value
    })
  }

  objects(name: string): readonly Answer[] {
    return listOf(this.#members[name])
  }
}

/** @throws DeviceError `answer_invalid` unless it is a list of objects. */
export function listOf(value: unknown): readonly Answer[] {
  if (!Array.isArray(value) || value.length > listMax) throw wrong('is no list')
  return value.map((member) => new Answer(member))
}

function wrong(what: string): DeviceError {
  return new DeviceError('answer_invalid', `The server's answer ${what}.`)
}
