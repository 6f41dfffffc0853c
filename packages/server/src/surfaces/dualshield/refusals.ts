import { DomainError } from '#domain/errors.ts'

/** Contract 1003. @param path of the member, with dots. */
export function missing(path: string): DomainError {
  return refused(path, 'required', 'is required')
}

/** Contract 1004. */
export function invalid(path: string): DomainError {
  return refused(path, 'bad_format', 'is not valid')
}

/** Contract 1005. @param place where the name stood: attrs, match, return, sort. */
export function unknownAttribute(place: string, name: string): DomainError {
  return refused(`${place}.${name}`, 'unknown_member', 'is not known')
}

function refused(path: string, code: string, message: string): DomainError {
  const pointer = `/${path.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('.', '/')}`
  return new DomainError('invalid_request', `${path} ${message}.`, {
    faults: [{ pointer, code, message }],
  })
}
