/** What happens to printed lists, as it is counted for operators. */
export type ListChange = 'created' | 'associated' | 'activated' | 'renew_due' | 'removed'

export interface ListObserver {
  /** Called after the commit. @param count at least 1. */
  countListChanges(change: ListChange, count: number): void
}

/** What one transaction did to printed lists. It belongs to that one run: a run that is repeated begins at nothing. */
export class ListChanges {
  readonly #counts = new Map<ListChange, number>()

  count(change: ListChange): void {
    this.#counts.set(change, (this.#counts.get(change) ?? 0) + 1)
  }

  /** To be called once the transaction is committed. */
  tellTo(observer: ListObserver): void {
    for (const [change, count] of this.#counts) observer.countListChanges(change, count)
  }
}
