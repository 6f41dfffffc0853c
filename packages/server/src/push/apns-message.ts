import type { PushNote } from '#domain/push/push-note.ts'

/** What Apple is told of a message beside its content; also by FCM, for apps on Apple's devices. */
export function apnsHeaders(note: PushNote): Readonly<Record<string, string>> {
  const isShown = isShownOf(note)
  return {
    'apns-push-type': isShown ? 'alert' : 'background',
    'apns-priority': isShown ? '10' : '5',
    'apns-expiration': String(Math.floor(note.expiresAtMs / 1000)),
    // One entry on the screen, should a message come twice.
    'apns-collapse-id': note.messageId,
  }
}

/** The member `aps`. */
export function apsOf(note: PushNote): object {
  if (!isShownOf(note)) return { 'content-available': 1 }
  const { title, body } = note
  return {
    alert: {
      ...(title === undefined ? {} : partOf(title, 'title', 'title-loc-key')),
      ...(body === undefined ? {} : partOf(body, 'body', 'loc-key')),
    },
    sound: 'default',
  }
}

/** The whole payload. */
export function apnsPayload(note: PushNote): object {
  const { tenantId, userId, messageId } = note
  return { aps: apsOf(note), to: { userId, tenantId }, messageId }
}

function isShownOf({ title, body }: PushNote): boolean {
  return title !== undefined || body !== undefined
}

function partOf(part: NonNullable<PushNote['title']>, name: string, keyName: string): object {
  return 'text' in part ? { [name]: part.text } : { [keyName]: part.key }
}
