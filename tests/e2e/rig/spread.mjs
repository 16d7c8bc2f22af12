// How figures are spread, and a table of them. Pure.

/** The value below which `part` (0 to 1) of the values are, by nearest rank; null where there are none. */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
}

/** Rows of `{ what, who, values, bounds }` in Markdown; `bounds` are those of p50, p95 and p99, where there are any. */
export function table(rows) {
  const lines = rows.map(({ what, who, values, bounds = [] }) => {
    const spread = [0.5, 0.95, 0.99].map((part, index) => {
      const value = quantile(values, part);
      return bounds[index] !== undefined && value > bounds[index] ? `**${value}**` : `${value}`;
    });
    const bound = bounds.length > 0 ? [0, 1, 2].map((index) => bounds[index] ?? '–').join(' / ') : '–';
    return `| ${[what, who, values.length, ...spread, Math.max(...values), bound].join(' | ')} |`;
  });
  return ['| what | who | n | p50 | p95 | p99 | longest | bounds |', '|---|---|---|---|---|---|---|---|', ...lines].join('\n');
}
