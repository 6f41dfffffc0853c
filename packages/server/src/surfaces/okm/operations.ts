import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { BuiltOperations } from '#http/handler.ts'
import { createAcl, deleteAcl, getAcl, listAcls, updateAcl } from './acl.ts'
import { createAclOkm, deleteAclOkm, getAclOkm, listAclOkms } from './acl-okm.ts'
import { uploadAuditRecords, uploadAuditRecordsLegacy, uploadLoraKeyAuditRecords } from './audit.ts'
import {
  createAuditSubscription,
  getAuditSubscriptionStatus,
  removeAuditSubscription,
  updateAuditSubscriptionStatus,
} from './audit-subscription.ts'
import { fetchOkmUserAssets, pollOkmConfig, pollOkmConfigLegacy } from './config.ts'
import type { Operations } from './contract.gen.ts'
import {
  createFirmware,
  deleteFirmware,
  getFirmware,
  listFirmware,
  updateFirmware,
} from './firmware.ts'
import {
  createOkm,
  deleteOkm,
  getOkm,
  listOkms,
  patchOkm,
  patchOkmCollection,
  updateOkm,
} from './okm.ts'
import { issueToken, listTokens, revokeToken } from './tokens.ts'

/** Every operation of the contract. */
export const operations = {
  createOkm,
  listOkms,
  patchOkmCollection,
  getOkm,
  updateOkm,
  deleteOkm,
  patchOkm,
  pollOkmConfig,
  fetchOkmUserAssets,
  pollOkmConfigLegacy,
  createAuditSubscription,
  removeAuditSubscription,
  getAuditSubscriptionStatus,
  updateAuditSubscriptionStatus,
  uploadAuditRecords,
  uploadAuditRecordsLegacy,
  uploadLoraKeyAuditRecords,
  createAcl,
  listAcls,
  getAcl,
  updateAcl,
  deleteAcl,
  createAclOkm,
  listAclOkms,
  getAclOkm,
  deleteAclOkm,
  createFirmware,
  listFirmware,
  getFirmware,
  updateFirmware,
  deleteFirmware,
  issueToken,
  listTokens,
  revokeToken,
} satisfies BuiltOperations<Operations, keyof Operations, Core, Caller>
