import { messageOf, TrunklineError } from '../../../src/core/errors.js';
import { calibratedDetector, type Detector, ownDetector } from './detector.js';

/** Names of the engine's own detectors in tables and reports. */
export const OWN = { fixed: 'fixed', calibrated: 'fixed, calibrated', adaptive: 'adaptive', neural: 'neural' } as const;

export interface DetectorOptions {
  readonly native: 'off' | 'auto' | 'require';
  /** Only the engine's own detectors and the quickest of the others. */
  readonly quick: boolean;
  /** Only those whose name contains this. */
  readonly only: string;
  readonly log: (line: string) => void;
}

/** Every detector that can be had here, the engine's own first. One that can not is named in the log. */
export async function allDetectors({ native, quick, only, log }: DetectorOptions): Promise<Detector[]> {
  const own = { native, silenceDetector: 'fixed' } as const;
  const modes = quick ? ([3] as const) : ([0, 1, 2, 3] as const);
  const rates = quick ? [] : ([8000, 16_000] as const);
  const makers: readonly (readonly [name: string, make: (name: string) => Promise<Detector>])[] = [
    [OWN.fixed, (name) => ownDetector(name, own)],
    [OWN.calibrated, async (name) => calibratedDetector(name, own)],
    [OWN.adaptive, (name) => ownDetector(name, { ...own, silenceDetector: 'adaptive' })],
    [OWN.neural, (name) => ownDetector(name, { ...own, silenceDetector: 'neural' })],
    ...modes.map((mode) => [`WebRTC, mode ${mode}`, (name: string) => webrtc(name, mode)] as const),
    ...rates.map((rate) => [`Silero v6, ${rate / 1000} kHz`, (name: string) => silero(name, rate)] as const),
  ];
  const detectors: Detector[] = [];
  for (const [name, make] of makers.filter(([one]) => one.includes(only))) {
    try {
      detectors.push(await make(name));
    } catch (error) {
      log(`skipped: ${name}: ${messageOf(error)}`);
      if (!isMissing(error)) throw error;
    }
  }
  if (detectors.length > 0) return detectors;
  const names = makers.map(([name]) => name).join('\n');
  throw new TrunklineError('CONFIG_INVALID', `There is no detector with "${only}" in its name. They are:\n${names}`);
}

async function webrtc(name: string, mode: 0 | 1 | 2 | 3): Promise<Detector> {
  return (await import('./webrtc.js')).webrtcDetector(name, mode);
}

async function silero(name: string, rate: 8000 | 16_000): Promise<Detector> {
  return (await import('./silero.js')).sileroDetector(name, rate);
}

/** A mode that the engine has not, a model or a native module that is not installed. */
function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return (
    (error instanceof TrunklineError && (code === 'CONFIG_INVALID' || code === 'FILE_FAILED')) ||
    code === 'ERR_MODULE_NOT_FOUND' ||
    code === 'MODULE_NOT_FOUND'
  );
}
