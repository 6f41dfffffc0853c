import type { Caller } from '#domain/callers/caller.ts'
import type { BuiltOperations } from '#http/handler.ts'
import type { Operations } from './contract.gen.ts'
import { deleteUserDevice, listUserDevices } from './device.ts'
import type { KeylessCore } from './endpoint.ts'
import {
  createExternalUser,
  deleteExternalUser,
  listExternalUserUsers,
  updateExternalUser,
} from './external-user.ts'
import { getCustomerJwks, getCustomerPublicKey, verifyJwt } from './jwt.ts'
import { createPendingOperation, getOperation, listPendingOperations } from './operation.ts'
import { listExternalUserAuthentications, listUserAuthentications } from './telemetry.ts'
import { deleteUser } from './user.ts'

/** Every operation of the contract. */
export const operations = {
  listPendingOperations,
  createPendingOperation,
  getOperation,
  getCustomerPublicKey,
  verifyJwt,
  getCustomerJwks,
  listUserDevices,
  deleteUserDevice,
  deleteUser,
  createExternalUser,
  updateExternalUser,
  deleteExternalUser,
  listExternalUserUsers,
  listUserAuthentications,
  listExternalUserAuthentications,
} satisfies BuiltOperations<Operations, keyof Operations, KeylessCore, Caller>
