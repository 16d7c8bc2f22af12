// Who comes first. Pure. A tile that is seen moves only when somebody who speaks has to come onto the page.

/**
 * The next order: who was there keeps the place, newcomers go to the end; then every id of `first` (most important first) that
 * is not among the first `visible` changes places with the last visible one that is not in `first`.
 */
export function reorder<Id>(previous: readonly Id[], present: readonly Id[], first: readonly Id[], visible: number): Id[] {
  const here = new Set(present);
  const next = previous.filter((id) => here.has(id));
  const known = new Set(next);
  next.push(...present.filter((id) => !known.has(id)));
  const important = new Set(first.slice(0, visible));
  for (const id of important) {
    const from = next.indexOf(id);
    if (from < visible) continue;
    const to = next.slice(0, visible).findLastIndex((other) => !important.has(other));
    const other = next[to];
    if (to < 0 || other === undefined) break;
    next[to] = id;
    next[from] = other;
  }
  return next;
}
