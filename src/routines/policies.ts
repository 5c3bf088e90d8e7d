/** What becomes of a due time while the run before still goes on; Temporal's own words. */
export const OVERLAPS = [
  'skip',
  'bufferOne',
  'bufferAll',
  'cancelOther',
  'terminateOther',
  'allowAll',
] as const;

export type Overlap = (typeof OVERLAPS)[number];
