import { anyLanguage, parseAcceptLanguage } from '#domain/localization/language-priority.ts'
import type { TemplateChange } from '#domain/localization/template.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { pageOf, totalCountHeader } from './wire.ts'

/** Texts of templates, by key and locale. Open to all. */
export const listTemplates: Endpoint<'listTemplates'> = async ({
  core,
  caller,
  params,
  query,
  headers,
}) => {
  const { items, totalCount } = await core.templateCatalogue.list(caller, params.tenantId, {
    ...pageOf(query),
    glob: query.filter,
    languages: languagesOf(headers['Accept-Language']),
  })
  return { status: 200, headers: totalCountHeader(totalCount), body: items.map(toTemplate) }
}

/** Makes a template. */
export const createTemplate: Endpoint<'createTemplate'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { key, defaultContent } = body
  await core.templates.create(caller, params.tenantId, { ...toChange(body), key, defaultContent })
  const path = `/ast/v1/tenants/${encodeURIComponent(params.tenantId)}/templates/${key}`
  return { status: 201, headers: { location: path } }
}

/** One text of a template, in the best language. Open to all. */
export const getTemplate: Endpoint<'getTemplate'> = async ({ core, caller, params, headers }) => {
  const { tenantId, templateKey } = params
  const languages = languagesOf(headers['Accept-Language'])
  const found = await core.templateCatalogue.get(caller, tenantId, templateKey, languages)
  return {
    status: 200,
    headers: { 'content-language': found.locale, vary: 'Accept-Language' },
    body: toTemplate(found),
  }
}

/** Sets the texts that are given. */
export const updateTemplate: Endpoint<'updateTemplate'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  await core.templates.update(caller, params.tenantId, params.templateKey, toChange(body))
  return { status: 204 }
}

/** Removes a template with all its texts. */
export const deleteTemplate: Endpoint<'deleteTemplate'> = async ({ core, caller, params }) => {
  await core.templates.delete(caller, params.tenantId, params.templateKey)
  return { status: 204 }
}

/** Sets the text of one locale. */
export const updateTemplateLocale: Endpoint<'updateTemplateLocale'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, templateKey, locale } = params
  const { content } = body
  await core.templates.setLocale(caller, tenantId, templateKey, { locale, content })
  return { status: 204 }
}

/** Removes the text of one locale, if there is one. */
export const deleteTemplateLocale: Endpoint<'deleteTemplateLocale'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, templateKey, locale } = params
  await core.templates.deleteLocale(caller, tenantId, templateKey, locale)
  return { status: 204 }
}

/** A header that names no language says nothing. */
function languagesOf(header: string) {
  return parseAcceptLanguage(header) ?? anyLanguage
}

function toChange({ defaultContent, locales }: Schemas['TemplatePatch']): TemplateChange {
  return { defaultContent, locales }
}

function toTemplate({ key, locale, content }: Schemas['LocalizedTemplate']) {
  return { key, locale, content }
}
