import { pushServices } from '../apps/app.ts'
import type { TemplateTexts } from '../localization/template-texts.ts'
import type { DeliveryKind } from '../outbox/delivery-kind.ts'
import { KeptCredentials } from './kept-credentials.ts'
import { PushKind, type PushParts } from './push-kind.ts'
import { PushTexts } from './push-texts.ts'

/** How push messages leave the server, by service. */
export function pushDeliveryKinds({
  templateTexts,
  ...parts
}: Omit<PushParts, 'texts'> & { readonly templateTexts: TemplateTexts }): readonly DeliveryKind[] {
  const texts = new PushTexts(templateTexts)
  const apps = new KeptCredentials(parts)
  return pushServices.map((service) => new PushKind(service, { ...parts, apps, texts }))
}
