/** Templates. */
export interface LocalizationTables {
  template_text: TemplateTextTable
}

/** One text of a template in one language. */
export interface TemplateTextTable {
  tenant_id: string
  key: string
  /** BCP 47 in its usual case; '' for the default content, without which a template does not exist. */
  locale: string
  content: string
  updated_at: number
}
