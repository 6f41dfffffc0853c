import type { AppVersion, RegisteredVersion, Registration } from '#domain/apps/app-version.ts'
import { versionNumberOf } from '#domain/apps/app-version.ts'
import type { AppVersionDraft } from '#domain/apps/app-version-service.ts'
import type { LatestVersion } from '#domain/apps/latest-version-store.ts'
import type { VersionCriteria } from '#domain/apps/version-criteria.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { pageOf, toInstant } from './wire.ts'

/** What versions can be made for. */
export const listPlatforms: Endpoint<'listPlatforms'> = async ({ core, caller, params }) => {
  const names = await core.appVersions.listPlatforms(caller, params.tenantId)
  return { status: 200, body: names.map((name) => ({ name })) }
}

/** What apps of a platform are built for. */
export const listArchitectures: Endpoint<'listArchitectures'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, platformName } = params
  const names = await core.appVersions.listArchitectures(caller, tenantId, platformName)
  return { status: 200, body: names.map((name) => ({ name })) }
}

/** Versions that fit every criterion, or a text. */
export const listVersions: Endpoint<'listVersions'> = async ({ core, caller, params, query }) => {
  const { items, totalCount } = await core.appVersionSearch.list(caller, params.tenantId, {
    ...toCriteria(query),
    ...pageOf(query),
    text: query.textSearch,
    isTextSearch: query.isTextSearch,
  })
  return { status: 200, body: { data: items.map(toVersion), totalCount } }
}

/** Makes a version of an app. */
export const createVersions: Endpoint<'createVersions'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId } = params
  const { id } = await core.appVersions.create(caller, tenantId, toDraft(body))
  const path = `/ast/v1/tenants/${encodeURIComponent(tenantId)}/versions/${id}`
  return { status: 201, headers: { location: path } }
}

/** One page of versions, put below their apps and platforms. */
export const listVersionHierarchy: Endpoint<'listVersionHierarchy'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const versions = await core.appVersionSearch.listTree(caller, params.tenantId, {
    ...toCriteria(query),
    ...pageOf(query),
  })
  const apps = groupBy(versions, ({ appName }) => appName).map(([appName, ofApp]) => ({
    appName,
    platforms: groupBy(ofApp, ({ platform }) => platform).map(([platform, ofPlatform]) => ({
      platform,
      versions: ofPlatform.map(toVersion),
    })),
  }))
  return { status: 200, body: { apps } }
}

const orders = { asc: 'ascending', desc: 'descending' } as const

/** Version numbers, each of them once. */
export const listDistinctVersionNumbers: Endpoint<'listDistinctVersionNumbers'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { orderByVersion } = query
  const versions = await core.appVersionSearch.listDistinct(caller, params.tenantId, {
    ...toCriteria(query),
    ...pageOf(query),
    order: orderByVersion === undefined ? 'made' : orders[orderByVersion],
  })
  return { status: 200, body: { versions: [...versions] } }
}

/** Apps with their newest versions. */
export const listLatestVersions: Endpoint<'listLatestVersions'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { appName, platform, category, credential } = query
  const { items, totalCount } = await core.latestVersions.list(caller, params.tenantId, {
    ...pageOf(query),
    appName,
    platform,
    categories: category,
    services: credential,
    text: query.textSearch,
    isTextSearch: query.isTextSearch,
  })
  const { tenantId } = params
  return {
    status: 200,
    body: { data: items.map((item) => ({ tenantId, ...toLatestVersion(item) })), totalCount },
  }
}

/** One version. */
export const getVersion: Endpoint<'getVersion'> = async ({ core, caller, params }) => {
  const version = await core.appVersions.get(caller, params.tenantId, params.versionId)
  return { status: 200, body: toVersion(version) }
}

/** Replaces a version but for its app and platform. */
export const updateVersions: Endpoint<'updateVersions'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  await core.appVersions.replace(caller, params.tenantId, params.versionId, toDraft(body))
  return { status: 204 }
}

/** Locks or unlocks a version. */
export const lockVersion: Endpoint<'lockVersion'> = async ({ core, caller, params, body }) => {
  const { tenantId, versionId } = params
  const version = await core.appVersions.setLock(caller, tenantId, versionId, body.versionLock)
  return { status: 200, body: toVersion(version) }
}

/** Deletes a version and what is registered for it. */
export const deleteVersionById: Endpoint<'deleteVersionById'> = async ({
  core,
  caller,
  params,
}) => {
  await core.appVersions.delete(caller, params.tenantId, params.versionId)
  return { status: 204 }
}

/** Forgets what is registered for a version. */
export const deleteAppRegister: Endpoint<'deleteAppRegister'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const { tenantId, versionId } = params
  const { architectureName } = query
  await core.appVersions.deleteRegistration(caller, tenantId, versionId, architectureName)
  return { status: 204 }
}

/** Architectures for which a value is registered. */
export const listRegisteredArchitectures: Endpoint<'listRegisteredArchitectures'> = async ({
  core,
  caller,
  params,
}) => {
  const { registrations } = await core.appVersions.get(caller, params.tenantId, params.versionId)
  const body = registrations.map(({ architecture, registeredAtMs }) => ({
    architectureName: architecture,
    registeredAt: toInstant(registeredAtMs),
  }))
  return { status: 200, body }
}

interface CriteriaQuery {
  readonly appName?: string
  readonly platform?: string
  readonly versionStr?: string
  readonly versionLock?: boolean
  readonly isCheckIntegrity?: boolean
}

function toCriteria(query: CriteriaQuery): VersionCriteria {
  const { appName, platform, versionStr, versionLock, isCheckIntegrity } = query
  return { appName, platform, versionStr, isLocked: versionLock, checksIntegrity: isCheckIntegrity }
}

function toDraft(body: Schemas['VersionWrite']): AppVersionDraft {
  const { appName, platform, versionStr, registerUserId } = body
  return {
    appName,
    platform,
    versionStr,
    registerUserId,
    isLocked: body.versionLock ?? false,
    checksIntegrity: body.isCheckIntegrity ?? false,
  }
}

function toVersion(version: RegisteredVersion): Schemas['Version'] {
  const latest = version.registrations.toSorted(
    (one, other) => other.registeredAtMs - one.registeredAtMs,
  )
  return {
    id: version.id,
    tenantId: version.tenantId,
    version: numberOf(version),
    sdkVersion: latest[0]?.sdkVersion ?? null,
    appName: version.appName,
    platform: version.platform,
    versionStr: version.versionStr,
    registerUserId: version.registerUserId,
    versionLock: version.isLocked,
    isCheckIntegrity: version.checksIntegrity,
    architectureIntegrities: version.registrations.map(toArchitectureIntegrity),
  }
}

function toLatestVersion(latest: LatestVersion): Schemas['LatestVersion'] {
  const { appName, version, categories, services } = latest
  return {
    appName,
    platform: version?.platform ?? null,
    versionStr: version?.versionStr ?? null,
    versionId: version?.id ?? null,
    categories: [...categories],
    credentials: services.filter((service) => service !== 'webpush'),
  }
}

function numberOf({ versionStr }: AppVersion): string {
  return String(versionNumberOf(versionStr) ?? 0)
}

function toArchitectureIntegrity(registration: Registration): Schemas['ArchitectureIntegrity'] {
  return {
    architectureName: registration.architecture,
    integrity: registration.integrity,
    registeredAt: toInstant(registration.registeredAtMs),
    registeredBy: registration.registeredBy,
  }
}

/** In the order in which the keys first come. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): [string, T[]][] {
  return [...Map.groupBy(items, keyOf)]
}
