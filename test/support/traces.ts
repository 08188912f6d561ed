import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { below, mulberry32 } from './random.js';

/** A trace of RTP packets in the order of arrival, and what is known of it. */
export interface TraceFile {
  readonly name: string;
  readonly path: string;
  readonly codec: 'pcmu' | 'pcma' | 'opus';
  /** Lines, copies included. */
  readonly packets: number;
  readonly lost: number;
  /** Its loss is high enough, for long enough, for the longer playout delay. */
  readonly widens: boolean;
  /** Seconds that a replay in real time takes. */
  readonly seconds: number;
  /** False for a trace of ../shared/corpora on a machine that does not have it. */
  readonly present: boolean;
}

export interface TracePacket {
  readonly arrivalUs: number;
  readonly seq: number;
  readonly ts: number;
  readonly pt: number;
  /** Base64. */
  readonly payload: string;
}

type Known = Omit<TraceFile, 'path' | 'present'>;

/** Made by test/vectors/make.mjs. */
const OWN: readonly Known[] = [
  { name: 'pcmu-impaired', codec: 'pcmu', packets: 150, lost: 6, widens: false, seconds: 3 },
  { name: 'pcma-jitter', codec: 'pcma', packets: 100, lost: 0, widens: false, seconds: 2 },
  { name: 'opus-dtx-impaired', codec: 'opus', packets: 232, lost: 10, widens: true, seconds: 6 },
];

/** What the README of the corpora says of its files. */
const CORPUS: readonly Known[] = [
  { name: 'pcmu-clean', codec: 'pcmu', packets: 2524, lost: 0, widens: false, seconds: 51 },
  { name: 'pcma-30ms', codec: 'pcma', packets: 236, lost: 0, widens: false, seconds: 7 },
  { name: 'pcmu-milliwatt', codec: 'pcmu', packets: 232, lost: 0, widens: false, seconds: 5 },
  { name: 'opus-clean', codec: 'opus', packets: 3501, lost: 0, widens: false, seconds: 70 },
  { name: 'opus-mobile', codec: 'opus', packets: 1902, lost: 2, widens: false, seconds: 39 },
  { name: 'opus-congested', codec: 'opus', packets: 3083, lost: 6, widens: false, seconds: 75 },
  { name: 'pcma-congested', codec: 'pcma', packets: 1737, lost: 240, widens: true, seconds: 48 },
];

export const TRACES: readonly TraceFile[] = [
  ...OWN.map((known) => located(known, new URL('../vectors/', import.meta.url))),
  ...CORPUS.map((known) => located(known, new URL('../../../shared/corpora/rtp/', import.meta.url))),
];

/** For the title of a test, so that it says why it is skipped. */
export function titleOf({ name, present }: TraceFile): string {
  return present ? name : `${name} (needs ../shared/corpora)`;
}

export function readTrace({ path }: TraceFile): { readonly clockHz: number; readonly packets: TracePacket[] } {
  const [header = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const { clockHz } = JSON.parse(header) as { clockHz: number };
  return { clockHz, packets: lines.map((line) => JSON.parse(line) as TracePacket) };
}

const LATE_SHARE = 1 / 12;
const MOST_LATE_US = 9_000_000;
/** Packets at either end that stay in time, so that a call begins and ends with the same ones. */
const CALM = 12;

/** A twelfth of the packets comes up to 9 s later. */
export function delayed<Packet extends { readonly arrivalUs: number }>(
  packets: readonly Packet[],
  seed: number,
): Packet[] {
  const random = mulberry32(seed);
  const late = packets.map((packet, i) => {
    const isCalm = i < CALM || i >= packets.length - CALM;
    const lateUs = !isCalm && random() < LATE_SHARE ? below(random, MOST_LATE_US) : 0;
    return { ...packet, arrivalUs: packet.arrivalUs + lateUs };
  });
  return late.sort((a, b) => a.arrivalUs - b.arrivalUs);
}

function located(known: Known, folder: URL): TraceFile {
  const path = fileURLToPath(new URL(`${known.name}.jsonl`, folder));
  return { ...known, path, present: existsSync(path) };
}
