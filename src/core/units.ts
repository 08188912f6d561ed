export const US_PER_MS = 1_000;
export const US_PER_SECOND = 1_000_000;
export const MS_PER_SECOND = 1_000;
