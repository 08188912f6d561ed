import { createHash } from 'node:crypto';
import type { Manifest } from '../../sinks/recorder/files/manifest.js';
import { segmentsOf } from '../../sinks/recorder/files/manifest.js';

/** S3 keeps 2 KB of names and values, in ASCII. */
const MAX_VALUE = 250;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  wav: 'audio/wav',
  flac: 'audio/flac',
  opus: 'audio/ogg',
  ogg: 'audio/ogg',
  json: 'application/json',
};

export function contentTypeOf(name: string): string {
  return CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}

/**
 * What tells a recording from all others. An object that carries it is a file of the same recording, though perhaps of
 * an earlier state of it.
 */
export function recordingMark({ interactionId, startedAt }: Manifest, folder: string): string {
  return createHash('sha256').update(`${interactionId}\n${startedAt}\n${folder}\n`).digest('hex').slice(0, 32);
}

/** What an object of a recording says of itself, so that the archive can be searched without opening files. */
export function objectMetadata(manifest: Manifest, mark: string, sha256: string): Readonly<Record<string, string>> {
  const { interactionId, startedAt, endedAt, codec, sampleRate, channels } = manifest;
  const durationMs = endedAt === null ? undefined : durationOf(manifest);
  const { queue, user, direction, division, tags } = manifest.attributes ?? {};
  const values: Readonly<Record<string, string | number | undefined>> = {
    recording: mark,
    sha256,
    'interaction-id': interactionId,
    'started-at': startedAt,
    'duration-ms': durationMs,
    codec,
    'sample-rate': sampleRate,
    channels,
    segments: segmentsOf(manifest).length,
    ...{ queue, user, direction, division },
    tags: tags?.join(','),
  };
  const known = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(known.map(([name, value]) => [name, inAscii(String(value))]));
}

function durationOf({ spans }: Manifest): number {
  return Math.round(spans.reduce((latest, { endMs }) => Math.max(latest, endMs), 0));
}

/** Other characters are percent-encoded, as is the percent sign itself. */
function inAscii(value: string): string {
  const encoded = value.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    /[\ud800-\udfff]/.test(character) && character.length === 1 ? '_' : encodeURIComponent(character),
  );
  // Not in the middle of an encoded character.
  return encoded.slice(0, MAX_VALUE).replace(/%[0-9A-F]?$/, '');
}
