// Where the tiles go. Pure: sizes in, rectangles out, all in CSS pixels.

export interface Box {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Box {
  readonly x: number;
  readonly y: number;
}

/** Tiles may be anything between square and 16:9: a little is cropped rather than much left empty. */
const NARROWEST = 1;
const WIDEST = 16 / 9;

function tileIn(width: number, height: number): Box {
  if (width > height * WIDEST) return { width: height * WIDEST, height };
  if (width < height * NARROWEST) return { width, height: width / NARROWEST };
  return { width, height };
}

/** Places `count` equal tiles so that they cover as much of the box as any number of columns can. Short last rows are centred. */
export function grid(count: number, box: Box, gap: number): Rect[] {
  let best = { columns: 0, tile: { width: 0, height: 0 } };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const width = (box.width - gap * (columns - 1)) / columns;
    const height = (box.height - gap * (rows - 1)) / rows;
    if (width <= 0 || height <= 0) continue;
    const tile = tileIn(width, height);
    if (tile.width * tile.height > best.tile.width * best.tile.height) best = { columns, tile };
  }
  const { columns, tile } = best;
  if (columns === 0) return [];
  const rows = Math.ceil(count / columns);
  const top = (box.height - rows * tile.height - (rows - 1) * gap) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const left = (box.width - inRow * tile.width - (inRow - 1) * gap) / 2;
    return { ...tile, x: left + (index % columns) * (tile.width + gap), y: top + row * (tile.height + gap) };
  });
}

/** How many of `count` tiles fit on one page without becoming narrower than `narrowest`. */
export function pageSize(count: number, box: Box, gap: number, narrowest: number, most: number): number {
  for (let size = Math.min(count, most); size > 1; size--) {
    const [tile] = grid(size, box, gap);
    if (tile && tile.width >= narrowest) return size;
  }
  return Math.min(count, 1);
}

export interface Stage {
  readonly focus: Rect;
  readonly strip: readonly Rect[];
}

/** One large place and a strip of as many small ones as fit: at the side of a wide box, below in a high one. */
export function stage(count: number, box: Box, gap: number): Stage {
  if (count === 0) return { focus: { x: 0, y: 0, ...box }, strip: [] };
  const isWide = box.width > box.height * 1.2;
  const width = isWide ? Math.min(260, Math.max(120, box.width * 0.18)) : Math.min(200, Math.max(96, (box.width - 2 * gap) / 3));
  const height = (width * 9) / 16;
  const length = isWide ? box.height : box.width;
  const side = isWide ? height : width;
  const shown = Math.max(0, Math.min(count, Math.floor((length + gap) / (side + gap))));
  const start = (length - shown * side - (shown - 1) * gap) / 2;
  const along = (index: number): number => start + index * (side + gap);
  const strip = Array.from({ length: shown }, (_, index) =>
    isWide ? { x: box.width - width, y: along(index), width, height } : { x: along(index), y: box.height - height, width, height });
  const focus = isWide
    ? { x: 0, y: 0, width: Math.max(0, box.width - width - gap), height: box.height }
    : { x: 0, y: 0, width: box.width, height: Math.max(0, box.height - height - gap) };
  return { focus, strip };
}
