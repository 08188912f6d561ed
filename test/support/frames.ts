import type { FrameView, StreamInfo } from '../../src/core/events.js';

export function streamInfo(over: Partial<StreamInfo> = {}): StreamInfo {
  return {
    stream: 0,
    interactionId: '7f9c2ba4-e88f-4a21-9c5e-1b0f4a3c2d1e',
    codec: 'pcmu',
    clockRate: 8000,
    sampleRate: 8000,
    channels: 1,
    startedAtMs: 1_700_000_000_000,
    ...over,
  };
}

/** A frame as a sink sees it; `pcm` undefined means that samples were not passed on. */
export function frameView(over: Partial<FrameView> & { pcm?: Int16Array } = {}): FrameView {
  const { pcm, ...fields } = over;
  return {
    info: streamInfo(),
    channel: 0,
    sequenceNumber: 0,
    timestamp: 0,
    positionSamples: 0,
    sampleCount: pcm?.length ?? 160,
    meanSquare: 0.25,
    peak: 16_384,
    isSilent: false,
    concealed: false,
    lost: false,
    decodeError: false,
    arrivalUs: 1_000,
    processedUs: 2_000,
    deliveredUs: 3_000,
    hasPcm: pcm !== undefined,
    copyPcm: () => pcm?.slice() ?? new Int16Array(0),
    copyPcmTo: (target, at = 0) => {
      target.set(pcm ?? [], at);
      return pcm?.length ?? 0;
    },
    copyPcmBytes: () => Buffer.from(pcm?.slice().buffer ?? new ArrayBuffer(0)),
    ...fields,
  };
}
