import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { BuiltOperations } from '#http/handler.ts'
import {
  createSdkConfig,
  createSigner,
  createTenantSigner,
  deleteSigner,
  deleteTenantSigner,
  getCertificateStatus,
  getSigner,
  getSignerChain,
  getTenantSigner,
  listCertificates,
  listSigners,
  reissueTenantSigner,
  renewSigner,
  revokeSigner,
} from './certificate-authority.ts'
import {
  deleteAstClient,
  deleteUserData,
  disconnectUserClients,
  getAstClient,
  getLinkedClientsByUserId,
  getLinkedUsersByAstClientId,
  lockClient,
  unlinkUser,
  unlinkUserClients,
  unlockClient,
} from './client-management.ts'
import {
  createProperty,
  deleteClientPropertyByName,
  deleteProperty,
  deleteUserPropertyByName,
  getProperty,
  listClientProperties,
  listUserProperties,
  updateProperty,
} from './client-properties.ts'
import type { Operations } from './contract.gen.ts'
import {
  createTemplate,
  deleteTemplate,
  deleteTemplateLocale,
  getTemplate,
  listTemplates,
  updateTemplate,
  updateTemplateLocale,
} from './localization.ts'
import {
  cancelTms,
  getTmsResult,
  getTmsStatus,
  sendDisplayMessage,
  startTms,
} from './message-sign.ts'
import {
  createVersions,
  deleteAppRegister,
  deleteVersionById,
  getVersion,
  listArchitectures,
  listDistinctVersionNumbers,
  listLatestVersions,
  listPlatforms,
  listRegisteredArchitectures,
  listVersionHierarchy,
  listVersions,
  lockVersion,
  updateVersions,
} from './version.ts'
import {
  createPolicy,
  createPolicyAssignment,
  deleteApp,
  deletePolicy,
  deletePolicyAssignment,
  getApp,
  getPolicy,
  listApps,
  listPolicies,
  saveApp,
  updateApp,
  updatePolicy,
} from './version-apps.ts'
import { createNonce } from './webhooks.ts'

const certificateAuthority = {
  getTenantSigner,
  createTenantSigner,
  reissueTenantSigner,
  deleteTenantSigner,
  listSigners,
  createSigner,
  getSigner,
  deleteSigner,
  getSignerChain,
  renewSigner,
  revokeSigner,
  listCertificates,
  getCertificateStatus,
  createSdkConfig,
} satisfies BuiltOperations<
  Operations,
  | 'getTenantSigner'
  | 'createTenantSigner'
  | 'reissueTenantSigner'
  | 'deleteTenantSigner'
  | 'listSigners'
  | 'createSigner'
  | 'getSigner'
  | 'deleteSigner'
  | 'getSignerChain'
  | 'renewSigner'
  | 'revokeSigner'
  | 'listCertificates'
  | 'getCertificateStatus'
  | 'createSdkConfig',
  Core,
  Caller
>

const clientManagement = {
  getLinkedClientsByUserId,
  getLinkedUsersByAstClientId,
  lockClient,
  unlockClient,
  unlinkUser,
  getAstClient,
  deleteAstClient,
  deleteUserData,
  disconnectUserClients,
  unlinkUserClients,
} satisfies BuiltOperations<
  Operations,
  | 'getLinkedClientsByUserId'
  | 'getLinkedUsersByAstClientId'
  | 'lockClient'
  | 'unlockClient'
  | 'unlinkUser'
  | 'getAstClient'
  | 'deleteAstClient'
  | 'deleteUserData'
  | 'disconnectUserClients'
  | 'unlinkUserClients',
  Core,
  Caller
>

const clientProperties = {
  listUserProperties,
  listClientProperties,
  createProperty,
  getProperty,
  updateProperty,
  deleteProperty,
  deleteUserPropertyByName,
  deleteClientPropertyByName,
} satisfies BuiltOperations<
  Operations,
  | 'listUserProperties'
  | 'listClientProperties'
  | 'createProperty'
  | 'getProperty'
  | 'updateProperty'
  | 'deleteProperty'
  | 'deleteUserPropertyByName'
  | 'deleteClientPropertyByName',
  Core,
  Caller
>

const localization = {
  listTemplates,
  createTemplate,
  getTemplate,
  updateTemplate,
  deleteTemplate,
  updateTemplateLocale,
  deleteTemplateLocale,
} satisfies BuiltOperations<
  Operations,
  | 'listTemplates'
  | 'createTemplate'
  | 'getTemplate'
  | 'updateTemplate'
  | 'deleteTemplate'
  | 'updateTemplateLocale'
  | 'deleteTemplateLocale',
  Core,
  Caller
>

const messageSign = {
  startTms,
  cancelTms,
  getTmsStatus,
  getTmsResult,
  sendDisplayMessage,
} satisfies BuiltOperations<
  Operations,
  'startTms' | 'cancelTms' | 'getTmsStatus' | 'getTmsResult' | 'sendDisplayMessage',
  Core,
  Caller
>

const versionApps = {
  listApps,
  getApp,
  saveApp,
  updateApp,
  deleteApp,
  listPolicies,
  getPolicy,
  createPolicy,
  updatePolicy,
  deletePolicy,
  createPolicyAssignment,
  deletePolicyAssignment,
} satisfies BuiltOperations<
  Operations,
  | 'listApps'
  | 'getApp'
  | 'saveApp'
  | 'updateApp'
  | 'deleteApp'
  | 'listPolicies'
  | 'getPolicy'
  | 'createPolicy'
  | 'updatePolicy'
  | 'deletePolicy'
  | 'createPolicyAssignment'
  | 'deletePolicyAssignment',
  Core,
  Caller
>
const webhooks = { createNonce } satisfies BuiltOperations<Operations, 'createNonce', Core, Caller>

const version = {
  listPlatforms,
  listArchitectures,
  listVersions,
  createVersions,
  listVersionHierarchy,
  listDistinctVersionNumbers,
  listLatestVersions,
  getVersion,
  updateVersions,
  lockVersion,
  deleteVersionById,
  deleteAppRegister,
  listRegisteredArchitectures,
} satisfies BuiltOperations<
  Operations,
  | 'listPlatforms'
  | 'listArchitectures'
  | 'listVersions'
  | 'createVersions'
  | 'listVersionHierarchy'
  | 'listDistinctVersionNumbers'
  | 'listLatestVersions'
  | 'getVersion'
  | 'updateVersions'
  | 'lockVersion'
  | 'deleteVersionById'
  | 'deleteAppRegister'
  | 'listRegisteredArchitectures',
  Core,
  Caller
>

/** What is built, a group for each tag. */
export const operations = {
  ...certificateAuthority,
  ...clientManagement,
  ...clientProperties,
  ...localization,
  ...messageSign,
  ...version,
  ...versionApps,
  ...webhooks,
}
