import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { type AudioHookClientOptions, runAudioHookClient } from '../../../src/simulator/audiohook/client.js';
import { AudioHookSound } from '../../../src/simulator/audiohook/sound.js';
import type { AudioHookSessionSummary } from '../../../src/sources/audiohook/server/connection-contract.js';
import { AudioHookServer } from '../../../src/sources/audiohook/server/server.js';
import type { AudioHookRejection } from '../../../src/sources/audiohook/server/server-events.js';
import type { AudioHookParts, AudioHookServerOptions } from '../../../src/sources/audiohook/server/server-options.js';
import { RawCall, type RawOptions } from './raw-call.js';
import { RecordingIngest } from './recording-ingest.js';

export const SECRET = 'dHJ1bmtsaW5lIHRlc3Qgc2VjcmV0';
export const SOUND = AudioHookSound.generated(5);

export interface Rig {
  server: AudioHookServer;
  ingest: RecordingIngest;
  url: string;
  port: number;
  ended: AudioHookSessionSummary[];
  rejected: AudioHookRejection[];
  errors: string[];
  /** Calls as Genesys Cloud makes them. */
  call: (options: Partial<AudioHookClientOptions>) => ReturnType<typeof runAudioHookClient>;
  /** One call that is played by hand. */
  dial: (options?: RawOptions) => RawCall;
}

const open: AudioHookServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** A listening server before a stand-in for the engine; closed after the test. */
export async function rig(
  options: Partial<AudioHookServerOptions> = {},
  parts: (ingest: RecordingIngest) => AudioHookParts = () => ({}),
): Promise<Rig> {
  const ingest = new RecordingIngest();
  const keys = [{ apiKey: 'key', clientSecret: SECRET }];
  const server = new AudioHookServer(
    ingest,
    { port: 0, host: '127.0.0.1', keys, refusalDelayMs: 50, lossWindowMs: 300, ...options },
    parts(ingest),
  );
  open.push(server);
  const port = (await server.listen())?.port ?? 0;
  const url = `ws://127.0.0.1:${port}/audiohook/ws`;
  const ended: AudioHookSessionSummary[] = [];
  const rejected: AudioHookRejection[] = [];
  const errors: string[] = [];
  server.on('sessionEnded', (summary) => ended.push(summary));
  server.on('rejected', (rejection) => rejected.push(rejection));
  server.on('internalError', (message) => errors.push(message));
  const call: Rig['call'] = (more) =>
    runAudioHookClient({
      url,
      apiKey: 'key',
      clientSecret: SECRET,
      sessions: 1,
      seconds: 1,
      speed: 10,
      sound: SOUND,
      ...more,
    });
  const dial: Rig['dial'] = (more) => new RawCall(url, { apiKey: 'key', clientSecret: SECRET, ...more });
  return { server, ingest, url, port, ended, rejected, errors, call, dial };
}

/** One request over a bare socket; everything that comes back until the server closes. */
export function exchange(port: number, request: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}
