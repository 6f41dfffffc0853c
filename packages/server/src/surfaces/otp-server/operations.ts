import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { BuiltOperations } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'
import {
  associateOtpList,
  createOtpList,
  createOtpListBatch,
  deleteOtpList,
  getOtpList,
  queryOtpLists,
} from './otp-list.ts'
import { queryUserInfo, verifyOtp } from './user-info.ts'

/** Every operation of the contract. */
export const operations = {
  createOtpList,
  createOtpListBatch,
  queryOtpLists,
  getOtpList,
  associateOtpList,
  deleteOtpList,
  queryUserInfo,
  verifyOtp,
} satisfies BuiltOperations<Operations, keyof Operations, Core, Caller>
