import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Role } from '../../../src/control/access/roles.js';
import { makeToken, tokenFileText } from '../../../src/control/access/token-file.js';
import { type Control, control } from '../../../src/control/control.js';
import type { ControlOptions } from '../../../src/control/options.js';
import type { AuditEntry } from '../../../src/core/events.js';
import type { AudioNode } from '../../../src/node/audio-node.js';
import { createNode } from '../../../src/node/create-node.js';
import type { NodeOptions } from '../../../src/node/options.js';

export interface ControlNode {
  readonly node: AudioNode;
  readonly control: Control;
  readonly audited: AuditEntry[];
  /** Requests a path; the answer's body is parsed when it is JSON. */
  ask(path: string, options?: AskOptions): Promise<Answer>;
}

export interface AskOptions {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: unknown;
}

/** A node with a control server on a free port, closed at the end of the test. */
export async function startControlNode(options: ControlOptions = {}, rest: NodeOptions = {}): Promise<ControlNode> {
  const service = control({ port: 0, ...options });
  const audited: AuditEntry[] = [];
  const node = await createNode({
    ...rest,
    engine: { shards: 1, native: 'off', silenceDetector: 'fixed', ...rest.engine },
    sinks: [...(rest.sinks ?? []), { auditEntry: (entry) => audited.push(entry) }],
    services: [service, ...(rest.services ?? [])],
  });
  onTestFinished(() => node.close());
  return { node, control: service, audited, ask: (path, how) => ask(`${service.url}${path}`, how) };
}

/** One request, with any headers; fetch() would not send Host as it is told. */
export function ask(url: string, { method = 'GET', token, headers = {}, body }: AskOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const outgoing = request(
      url,
      {
        method,
        agent: false,
        headers: {
          ...(sent === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = response.headers['content-type']?.includes('json') === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(sent);
  });
}

/** A token file with one token of each role, named after it, in a folder that is removed at the end of the test. */
export function makeTokenFile(): { readonly file: string; readonly tokens: Readonly<Record<Role, string>> } {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const made = {
    viewer: makeToken('viewer-1', 'viewer', Date.now()),
    listener: makeToken('listener-1', 'listener', Date.now()),
    operator: makeToken('operator-1', 'operator', Date.now()),
  };
  const file = join(folder, 'tokens.json');
  writeFileSync(file, tokenFileText(Object.values(made).map(({ entry }) => entry)));
  const { viewer, listener, operator } = made;
  return { file, tokens: { viewer: viewer.token, listener: listener.token, operator: operator.token } };
}
