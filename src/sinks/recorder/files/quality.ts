import { z } from 'zod';

/** Estimates for one channel of one audio file; QualityReport of core/statistics/quality.ts says what each is. */
export const qualitySchema = z.object({
  channel: z.union([z.literal(0), z.literal(1)]),
  /** Of a recording whose format changed, from its second audio file on: which of the segments, counted from 1. */
  segment: z.number().optional(),
  jitterMs: z.number(),
  playoutDelayMs: z.number(),
  driftPpm: z.number().nullable(),
  bursts: z.number(),
  burstDensity: z.number(),
  gapDensity: z.number(),
  burstDurationMs: z.number(),
  gapDurationMs: z.number(),
  concealedMs: z.number(),
  mosLqMin: z.number().nullable(),
  mosLqMean: z.number().nullable(),
});
export type ManifestQuality = z.infer<typeof qualitySchema>;
