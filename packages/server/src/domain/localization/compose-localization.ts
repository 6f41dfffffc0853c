import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { TemplateCatalogue } from './template-catalogue.ts'
import { TemplateService } from './template-service.ts'
import { TemplateTexts } from './template-texts.ts'

/** Everything of templates. */
export interface LocalizationParts {
  readonly templates: TemplateService
  readonly templateCatalogue: TemplateCatalogue
  readonly templateTexts: TemplateTexts
}

/** Builds what templates need by plain constructors. */
export function composeLocalization(dependencies: {
  storage: Storage
  clock: Clock
  settings: SettingsService
}): LocalizationParts {
  return {
    templates: new TemplateService(dependencies),
    templateCatalogue: new TemplateCatalogue(dependencies),
    templateTexts: new TemplateTexts(dependencies),
  }
}
