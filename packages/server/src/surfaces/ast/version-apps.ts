import type { AppView } from '#domain/apps/app-service.ts'
import type { AssignmentTarget, Policy, PolicyAssignment } from '#domain/apps/policy.ts'
import type { PolicyDraft } from '#domain/apps/policy-service.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { noStore, pageOf, tenantPath, totalCountHeader } from './wire.ts'

/** Apps by name, or the one of a name. */
export const listApps: Endpoint<'listApps'> = async ({ core, caller, params, query }) => {
  const search = { name: query.appName, ...pageOf(query) }
  const { items, totalCount } = await core.apps.list(caller, params.tenantId, search)
  const headers = { ...totalCountHeader(totalCount), ...noStore }
  return { status: 200, headers, body: items.map(toApp) }
}

/** One app; its secrets for those who may change it. */
export const getApp: Endpoint<'getApp'> = async ({ core, caller, params }) => {
  const found = await core.apps.get(caller, params.tenantId, params.appName)
  return { status: 200, headers: noStore, body: toApp(found) }
}

/** Makes an app. */
export const saveApp: Endpoint<'saveApp'> = async ({ core, caller, params, body }) => {
  const { tenantId, appName } = params
  await core.apps.create(caller, tenantId, appName, body)
  return { status: 201, headers: { location: tenantPath(tenantId, 'apps', appName) } }
}

/** Replaces the push configuration of an app. */
export const updateApp: Endpoint<'updateApp'> = async ({ core, caller, params, body }) => {
  await core.apps.update(caller, params.tenantId, params.appName, body)
  return { status: 204 }
}

/** Deletes an app with its versions and assignments. */
export const deleteApp: Endpoint<'deleteApp'> = async ({ core, caller, params }) => {
  await core.apps.delete(caller, params.tenantId, params.appName)
  return { status: 204 }
}

/** All policies, the built-in one first. */
export const listPolicies: Endpoint<'listPolicies'> = async ({ core, caller, params }) => {
  const policies = await core.policies.list(caller, params.tenantId)
  return { status: 200, body: policies.map(toPolicy) }
}

/** One policy. */
export const getPolicy: Endpoint<'getPolicy'> = async ({ core, caller, params }) => {
  const policy = await core.policies.get(caller, params.tenantId, params.policyName)
  return { status: 200, body: toPolicy(policy) }
}

/** Makes a policy. */
export const createPolicy: Endpoint<'createPolicy'> = async ({ core, caller, params, body }) => {
  const { tenantId, policyName } = params
  await core.policies.create(caller, tenantId, policyName, toPolicyDraft(body))
  return { status: 201, headers: { location: tenantPath(tenantId, 'policies', policyName) } }
}

/** Replaces the rule of a policy. */
export const updatePolicy: Endpoint<'updatePolicy'> = async ({ core, caller, params, body }) => {
  await core.policies.update(caller, params.tenantId, params.policyName, toPolicyDraft(body))
  return { status: 204 }
}

/** Deletes a policy that is assigned to nothing. */
export const deletePolicy: Endpoint<'deletePolicy'> = async ({ core, caller, params }) => {
  await core.policies.delete(caller, params.tenantId, params.policyName)
  return { status: 204 }
}

/** Makes a policy count for an app or a part of it. */
export const createPolicyAssignment: Endpoint<'createPolicyAssignment'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, policyName } = params
  const { id } = await core.policies.assign(caller, tenantId, policyName, toTarget(body))
  return { status: 201, headers: { location: tenantPath(tenantId, 'policy-assignments', id) } }
}

/** Ends an assignment. */
export const deletePolicyAssignment: Endpoint<'deletePolicyAssignment'> = async ({
  core,
  caller,
  params,
}) => {
  await core.policies.unassign(caller, params.tenantId, params.assignmentId)
  return { status: 204 }
}

function toApp({ app, secrets }: AppView): Schemas['App'] {
  const { tenantId, name, categories, configuration, unusable } = app
  return {
    tenantId,
    appName: name,
    pushNotificationConfig: {
      categories: [...categories],
      ...configuration,
      ...secrets,
      ...(unusable.length === 0 ? {} : { unusable: [...unusable] }),
    },
  }
}

function toPolicyDraft({ type, parameters }: Schemas['PolicyWrite']): PolicyDraft {
  return { type, quorum: parameters?.quorum, userId: parameters?.userId }
}

function toPolicy({ name, rule, assignments }: Policy): Schemas['Policy'] {
  return {
    name,
    assignments: assignments.map(toAssignment),
    type: rule.type,
    parameters: toParameters(rule),
  }
}

function toParameters(rule: Policy['rule']): Schemas['PolicyParameters'] {
  if (rule.type === 'quorum') return { quorum: rule.quorum }
  return rule.userId === undefined ? {} : { userId: rule.userId }
}

function toTarget(body: Schemas['PolicyAssignmentWrite']): AssignmentTarget {
  return {
    appName: body.appName,
    ...(body.platform === undefined ? {} : { platform: body.platform }),
    ...(body.architectureName === undefined ? {} : { architecture: body.architectureName }),
  }
}

function toAssignment({
  id,
  appName,
  platform,
  architecture,
}: PolicyAssignment): Schemas['PolicyAssignment'] {
  return {
    id,
    appName,
    ...(platform === undefined ? {} : { platform }),
    ...(architecture === undefined ? {} : { architectureName: architecture }),
  }
}
