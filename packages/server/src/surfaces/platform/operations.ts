import { idempotent } from '#http/idempotency.ts'
import { idempotentOutput } from '#http/one-time-output.ts'
import * as approvals from './approvals.ts'
import * as audit from './audit.ts'
import * as devices from './devices.ts'
import * as oauth2 from './oauth2.ts'
import { keptOfLists } from './otp-list-output.ts'
import * as otpLists from './otp-lists.ts'
import * as otpTokens from './otp-tokens.ts'
import * as pki from './pki.ts'
import * as service from './service.ts'
import * as serviceAccounts from './service-accounts.ts'
import * as settings from './settings.ts'
import * as tenants from './tenants.ts'
import * as trustedIssuers from './trusted-issuers.ts'
import * as users from './users.ts'
import * as verification from './verification.ts'
import * as webhooks from './webhooks.ts'

/**
 * operationId → endpoint, for everything that is built. Endpoints of `POST` operations that take an `Idempotency-Key` are
 * wrapped; the members named there appear in the first reply only.
 */
export const operations = {
  ...service,
  ...oauth2,
  ...tenants,
  createTenant: idempotent(tenants.createTenant, { oneTimeMembers: [] }),
  ...serviceAccounts,
  createServiceAccount: idempotent(serviceAccounts.createServiceAccount, {
    oneTimeMembers: ['secret'],
  }),
  rotateServiceAccountSecret: idempotent(serviceAccounts.rotateServiceAccountSecret, {
    oneTimeMembers: ['secret'],
  }),
  ...trustedIssuers,
  createTrustedIssuer: idempotent(trustedIssuers.createTrustedIssuer, { oneTimeMembers: [] }),
  ...settings,
  ...users,
  createDomain: idempotent(users.createDomain, { oneTimeMembers: [] }),
  createUser: idempotent(users.createUser, { oneTimeMembers: [] }),
  addUserIdentifier: idempotent(users.addUserIdentifier, { oneTimeMembers: [] }),
  ...otpTokens,
  createOtpToken: idempotent(otpTokens.createOtpToken, { oneTimeMembers: ['provisioning'] }),
  importOtpTokens: idempotent(otpTokens.importOtpTokens, { oneTimeMembers: [] }),
  assignOtpToken: idempotent(otpTokens.assignOtpToken, { oneTimeMembers: [] }),
  ...otpLists,
  createOtpListMethod: idempotent(otpLists.createOtpListMethod, { oneTimeMembers: [] }),
  createOtpLists: idempotentOutput(otpLists.createOtpLists, { keep: keptOfLists }),
  ...verification,
  ...approvals,
  createApproval: idempotent(approvals.createApproval, { oneTimeMembers: [] }),
  ...devices,
  createEnrolmentCode: idempotent(devices.createEnrolmentCode, { oneTimeMembers: ['secret'] }),
  ...pki,
  ...webhooks,
  createWebhookEndpoint: idempotent(webhooks.createWebhookEndpoint, { oneTimeMembers: ['secret'] }),
  rotateWebhookSecret: idempotent(webhooks.rotateWebhookSecret, { oneTimeMembers: ['secret'] }),
  sendWebhookTest: idempotent(webhooks.sendWebhookTest, { oneTimeMembers: [] }),
  ...audit,
  createAuditCheckpoint: idempotent(audit.createAuditCheckpoint, { oneTimeMembers: [] }),
}
