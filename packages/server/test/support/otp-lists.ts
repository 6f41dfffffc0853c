import { PinHasher } from '#custody/pin-hasher.ts'
import { systemRandomness } from '#custody/randomness.ts'
import type { Caller } from '#domain/callers/caller.ts'
import { OtpListExpiry } from '#domain/otp-lists/list-expiry.ts'
import type { OtpListWithCodes } from '#domain/otp-lists/otp-list.ts'
import {
  type NewOtpListMethod,
  OtpListMethodService,
} from '#domain/otp-lists/otp-list-method-service.ts'
import { OtpListService } from '#domain/otp-lists/otp-list-service.ts'
import { EnrolmentService } from '#domain/otp-tokens/enrolment-service.ts'
import {
  type ListVerification,
  type ListVerificationRequest,
  ListVerificationService,
} from '#domain/verification/list-verification-service.ts'
import type { VerificationPolicy } from '#domain/verification/policy.ts'
import { VerificationService } from '#domain/verification/verification-service.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  type TestCoreOptions,
  testCaller,
} from './core.ts'
import { defaultPolicy, rfcSecret } from './tokens.ts'
import { recordsOf, type UserServices, userServices } from './users.ts'

export interface ListRecord {
  readonly action: string
  readonly userId: string | null
  readonly target: { readonly type: string; readonly id: string } | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** The tenants `acme` and `other`, the users `jsmith` and `mjones` in `acme`, and the services of printed lists. */
export interface ListBench extends AsyncDisposable {
  readonly core: TestCore
  readonly admin: Caller
  readonly reader: Caller
  readonly stranger: Caller
  readonly users: UserServices
  readonly methods: OtpListMethodService
  readonly lists: OtpListService
  readonly expiry: OtpListExpiry
  readonly verification: VerificationService
  policy: VerificationPolicy
  /** The method `otp.1` of `acme`, lists of three codes unless said otherwise. */
  addMethod(draft?: Partial<NewOtpListMethod>): Promise<void>
  /** One list of `otp.1`, free or a user's. */
  addList(order?: { method?: string; user?: string }): Promise<OtpListWithCodes>
  /** A token with the RFC 4226 secret. */
  addToken(user: string): Promise<void>
  /** A code of `otp.1`, for `jsmith` unless said otherwise. */
  verifyList(
    code: string | undefined,
    request?: Partial<ListVerificationRequest> & { userId?: string },
  ): Promise<ListVerification>
  /** Records of `acme` that wait to be sealed, oldest first. */
  journal(action?: string): Promise<ListRecord[]>
}

export const listTenant = 'acme'

/** @param options `isFilled`: over a database that such a bench has left behind. */
export async function createListBench(
  options: TestCoreOptions & { readonly isFilled?: boolean } = {},
): Promise<ListBench> {
  const core = await createReadyTestCore(options)
  const { storage, vault, clock, nextId } = core
  const isEmpty = options.isFilled !== true
  for (const id of isEmpty ? [listTenant, 'other'] : []) {
    await core.tenants.create(platformAdmin, { id, name: id })
  }
  const admin = testCaller(listTenant, ['tenant:write', 'verify'])
  const users = userServices(core)
  for (const id of isEmpty ? ['jsmith', 'mjones'] : []) {
    await users.users.create(admin, listTenant, { id, loginName: id })
  }
  const base = { storage, vault, clock, nextId, randomness: systemRandomness }
  const methods = new OtpListMethodService(base)
  const lists = new OtpListService(base)
  const pins = new PinHasher()
  const enrolments = new EnrolmentService({ ...base, pins })
  const verification = new VerificationService({
    ...base,
    pins,
    policies: { settingsFor: async () => bench.policy },
  })
  const listVerification = new ListVerificationService({ storage, clock, verification })
  const bench: ListBench = {
    core,
    admin,
    reader: testCaller(listTenant, ['tenant:read']),
    stranger: testCaller('other', ['tenant:write', 'verify']),
    users,
    methods,
    lists,
    expiry: new OtpListExpiry({ storage, clock }),
    verification,
    policy: defaultPolicy,
    async addToken(user) {
      const secret = { encoding: 'HEX', value: rfcSecret.toString('hex') } as const
      await enrolments.enrol(admin, listTenant, { type: 'HOTP', secret, user: { id: user } })
    },
    verifyList(code = '', { userId = 'jsmith', ...request } = {}) {
      return listVerification.verify(admin, listTenant, {
        method: 'otp.1',
        user: { id: userId },
        code,
        ...request,
      })
    },
    async addMethod(draft = {}) {
      await methods.create(admin, listTenant, { name: 'otp.1', listSize: 3, ...draft })
    },
    async addList({ method = 'otp.1', user } = {}) {
      const reference = user === undefined ? {} : { user: { id: user } }
      const [list] = await lists.create(admin, listTenant, { method, ...reference })
      if (list === undefined) throw new Error('No list was made.')
      return list
    },
    async journal(action) {
      const records = (await recordsOf(core, listTenant)) as ListRecord[]
      return action === undefined ? records : records.filter((record) => record.action === action)
    },
    [Symbol.asyncDispose]: () => core[Symbol.asyncDispose](),
  }
  return bench
}
