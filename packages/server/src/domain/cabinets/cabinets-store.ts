import type { Queries } from '#storage/queries.ts'
import { AclLinkStore } from './acl-link-store.ts'
import { AclStore } from './acl-store.ts'
import { CabinetStore } from './cabinet-store.ts'
import { ContactStore } from './contact-store.ts'
import { FirmwareStore } from './firmware-store.ts'
import { PollStore } from './poll-store.ts'
import { RightsStore } from './rights-store.ts'
import { SubscriptionStore } from './subscription-store.ts'
import { TallyStore } from './tally-store.ts'
import { UploadStore } from './upload-store.ts'

/** The stores of key cabinets. */
export class CabinetStores {
  readonly registered: CabinetStore
  readonly contacts: ContactStore
  readonly polls: PollStore
  readonly rights: RightsStore
  readonly acls: AclStore
  readonly links: AclLinkStore
  readonly firmware: FirmwareStore
  readonly tally: TallyStore
  readonly uploads: UploadStore
  readonly subscriptions: SubscriptionStore

  constructor(queries: Queries) {
    this.registered = new CabinetStore(queries)
    this.contacts = new ContactStore(queries)
    this.polls = new PollStore(queries)
    this.rights = new RightsStore(queries)
    this.acls = new AclStore(queries)
    this.links = new AclLinkStore(queries)
    this.firmware = new FirmwareStore(queries)
    this.tally = new TallyStore(queries)
    this.uploads = new UploadStore(queries)
    this.subscriptions = new SubscriptionStore(queries)
  }
}
