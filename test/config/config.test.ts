import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ConfigSources, loadConfig } from '../../src/config/load.js';
import { configTable, printableConfig, SETTINGS } from '../../src/config/schema.js';
import { TrunklineError } from '../../src/core/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function file(content: string): string {
  const path = join(folder, `${files++}.txt`);
  writeFileSync(path, content);
  return path;
}

const nowhere = join(folder, 'nowhere');

/** Without the `.env` of whoever runs the tests. */
function load(sources: ConfigSources) {
  return loadConfig({ envFile: nowhere, ...sources });
}

function complaint(sources: ConfigSources): string {
  try {
    load(sources);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TrunklineError);
    expect((thrown as TrunklineError).code).toBe('CONFIG_INVALID');
    return (thrown as TrunklineError).message;
  }
  return expect.unreachable('these settings should have been refused');
}

describe('where settings come from', () => {
  test('defaults stand where nothing is said', () => {
    expect(load({})).toMatchObject({
      region: 'us-east-1',
      codecs: ['opus', 'pcmu'],
      interactions: [],
      playoutDelayMs: 50,
      maxPlayoutDelayMs: 100,
      silenceThreshold: 0.01,
      record: true,
      includeSilent: false,
      audit: 'spans',
      native: 'auto',
    });
    expect(load({}).shards).toBeGreaterThanOrEqual(1);
  });

  test('command line wins over environment, environment over .env, .env over file, file over default', () => {
    const layers: ConfigSources[] = [
      { configFile: file('{"playoutDelayMs": 11}') },
      { envFile: file('TRUNKLINE_HOLD_MS=12') },
      { env: { TRUNKLINE_HOLD_MS: '13' } },
      { flags: { playoutDelayMs: '14' } },
    ];
    const seen = layers.map((_, count) => load(Object.assign({}, ...layers.slice(0, count + 1))).playoutDelayMs);
    expect(seen).toEqual([11, 12, 13, 14]);
  });

  test('the names of the tutorial reach their settings', () => {
    const env = {
      GENESYS_CLIENT_ID: 'me',
      GENESYS_CLIENT_SECRET: 'mine',
      GENESYS_REGION: 'eu-west-1',
      TARGET_INTERACTIONS: ' a, b,,a ',
    };
    expect(load({ env })).toMatchObject({
      clientId: 'me',
      clientSecret: 'mine',
      region: 'eu-west-1',
      interactions: ['a', 'b'],
    });
  });

  test('an empty variable is one that is not set', () => {
    expect(load({ env: { GENESYS_REGION: '', TRUNKLINE_SECONDS: ' ' } })).toMatchObject({ region: 'us-east-1' });
  });

  test.each([
    ['true', true],
    ['YES', true],
    ['0', false],
    ['off', false],
  ])('a switch reads %s as %s', (text, value) => {
    expect(load({ env: { TRUNKLINE_RECORD: text } }).record).toBe(value);
  });

  test('lists come repeated, with commas, or both', () => {
    expect(load({ flags: { interactions: ['a,b', 'c'] } }).interactions).toEqual(['a', 'b', 'c']);
  });

  test('the wide hold is never less than the other', () => {
    expect(load({ flags: { playoutDelayMs: '300' } })).toMatchObject({ playoutDelayMs: 300, maxPlayoutDelayMs: 300 });
  });
});

describe('what is wrong with them', () => {
  test.each<[string, ConfigSources, string]>([
    [
      'a flag that is no number',
      { flags: { seconds: '10s' } },
      '--seconds must be a number above 0 and up to 31536000, not "10s".',
    ],
    [
      'a variable out of bounds',
      { env: { TRUNKLINE_HOLD_MS: '-1' } },
      'TRUNKLINE_HOLD_MS in the environment must be a whole number from 0 to 2000, not -1.',
    ],
    [
      'a number between two steps',
      { flags: { silenceWindowMs: '7' } },
      '--silence-window-ms must be a whole number from 5 to 200, a multiple of 5, not 7.',
    ],
    [
      'a choice that is none',
      { flags: { audit: 'everything' } },
      '--audit must be one of off, spans, packets, not "everything".',
    ],
    [
      'one bad entry of a list',
      { env: { TRUNKLINE_CODECS: 'opus,g729' } },
      'TRUNKLINE_CODECS in the environment must be a list of opus, pcmu, pcma, l16, not ["opus","g729"].',
    ],
    [
      'an address of the wrong kind',
      { flags: { mediaUrl: 'http://localhost' } },
      '--media-url must be an address that begins with ws:// or wss://, not "http://localhost".',
    ],
  ])('%s', (_, sources, sentence) => {
    expect(complaint(sources)).toBe(sentence);
  });

  test('every fault is told, each in its own line, with where it came from', () => {
    const configFile = file('{"shards": "two", "record": 1}');
    expect(complaint({ configFile }).split('\n').sort()).toEqual([
      `"record" in ${configFile} must be true or false, not 1.`,
      `"shards" in ${configFile} must be a whole number from 1 to 32, not "two".`,
    ]);
  });

  test('a key that the file should not have is told, with the one that was meant', () => {
    const configFile = file('{"playoutDelMs": 40}');
    expect(complaint({ configFile })).toBe(
      `"playoutDelMs" in ${configFile} is no setting of trunkline. Did you mean "playoutDelayMs"?`,
    );
  });

  test('a key like nothing known lists what there is', () => {
    expect(complaint({ configFile: file('{"colour": 1, "__proto__": 2}') })).toMatch(/Settings are: clientId, /);
  });

  test('a variable that is nearly one of ours is told; one that is not is left alone', () => {
    expect(complaint({ env: { TRUNKLINE_HOLT_MS: '40' } })).toMatch(/Did you mean TRUNKLINE_HOLD_MS\?$/);
    expect(() => load({ env: { TRUNKLINE_SOMETHING_ELSE: '1' } })).not.toThrow();
  });

  test.each([
    ['no JSON', '{', /^Cannot read the configuration file/],
    ['no object', '[]', /must hold one JSON object/],
  ])('a configuration file that is %s', (_, content, says) => {
    expect(complaint({ configFile: file(content) })).toMatch(says);
  });

  test('a configuration file that was named must exist', () => {
    expect(complaint({ configFile: nowhere })).toMatch(/there is no such file/);
  });
});

describe('secrets', () => {
  const secret = 'correct horse battery staple';

  test('are not in what is printed', () => {
    const config = load({ env: { GENESYS_CLIENT_SECRET: secret, TRUNKLINE_AUDIT_KEY: secret } });
    expect(config.auditKey).toBe(secret);
    expect(JSON.stringify(printableConfig(config))).not.toContain(secret);
    expect(printableConfig(config)).toMatchObject({ clientSecret: 'set', auditKey: 'set', region: 'us-east-1' });
  });

  test('are not in complaints', () => {
    expect(complaint({ env: { TRUNKLINE_AUDIT_KEY: 'short' } })).toBe(
      'TRUNKLINE_AUDIT_KEY in the environment must be a text of 16 to 4096 characters.',
    );
  });
});

describe('documentation', () => {
  test('every setting is described, and names are unique', () => {
    for (const { name, description, env } of SETTINGS) {
      expect(description, name).toMatch(/^[A-Z].*\.$/);
      expect(env, name).toMatch(/^[A-Z_]+$/);
    }
    expect(new Set(SETTINGS.map(({ env }) => env)).size).toBe(SETTINGS.length);
  });

  test('the README has the table that follows from the schema', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, table] = /<!-- settings -->\n([\s\S]*?)\n<!-- \/settings -->/.exec(readme) ?? [];
    expect(table, 'print it anew with: npx trunkline settings').toBe(configTable());
  });
});
