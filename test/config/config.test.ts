import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  configFileSchema,
  effectiveSettings,
  effectiveText,
  printableConfig,
  settingsMarkdown,
} from '../../src/config/documents.js';
import { type ConfigSources, loadConfig } from '../../src/config/load.js';
import { SETTINGS } from '../../src/config/schema.js';
import { GROUPS } from '../../src/config/setting.js';
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

/** Without the `.env` of the machine that runs the tests. */
function loaded(sources: ConfigSources) {
  return loadConfig({ envFile: nowhere, ...sources });
}

function load(sources: ConfigSources) {
  return loaded(sources).config;
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
      playoutDelay: 'adaptive',
      playoutDelayMs: 50,
      minPlayoutDelayMs: 0,
      maxPlayoutDelayMs: 400,
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
      { configFile: file('{"engine": {"playoutDelayMs": 11}}') },
      { envFile: file('TRUNKLINE_PLAYOUT_DELAY_MS=12') },
      { env: { TRUNKLINE_PLAYOUT_DELAY_MS: '13' } },
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

  test.each([
    ['the default', {}, [0, 50, 400]],
    ['a fixed one', { playoutDelay: 'fixed' }, [0, 50, 100]],
    ['longer than the maximum', { playoutDelay: 'fixed', playoutDelayMs: '300' }, [0, 300, 300]],
    ['a maximum below the usual one', { playoutDelayMs: '300', maxPlayoutDelayMs: '200' }, [0, 300, 300]],
    ['a minimum above the usual one', { minPlayoutDelayMs: '60' }, [60, 60, 400]],
    ['a minimum that a fixed one does not have', { playoutDelay: 'fixed', minPlayoutDelayMs: '60' }, [60, 50, 100]],
    ['all three the same', { playoutDelayMs: '450', minPlayoutDelayMs: '450' }, [450, 450, 450]],
  ])('the playout delay lies between its bounds: %s', (_, flags, delaysMs) => {
    const { minPlayoutDelayMs, playoutDelayMs, maxPlayoutDelayMs } = load({ flags });
    expect([minPlayoutDelayMs, playoutDelayMs, maxPlayoutDelayMs]).toEqual(delaysMs);
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
      { env: { TRUNKLINE_PLAYOUT_DELAY_MS: '-1' } },
      'TRUNKLINE_PLAYOUT_DELAY_MS in the environment must be a whole number from 0 to 2000, not -1.',
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
    [
      'a shortest playout delay above the longest',
      { flags: { minPlayoutDelayMs: '300', maxPlayoutDelayMs: '200' } },
      'The setting "minPlayoutDelayMs" is 300, but must not be above "maxPlayoutDelayMs", which is 200.',
    ],
    [
      'a shortest playout delay above the longest, which has its default',
      { flags: { minPlayoutDelayMs: '500' } },
      'The setting "minPlayoutDelayMs" is 500, but must not be above "maxPlayoutDelayMs", which is 400 by default.',
    ],
  ])('%s', (_, sources, sentence) => {
    expect(complaint(sources)).toBe(sentence);
  });

  test('every fault is told, each in its own line, with where it came from', () => {
    const configFile = file('{"engine": {"shards": "two"}, "recording": {"enabled": 1}}');
    expect(complaint({ configFile }).split('\n').sort()).toEqual([
      `"engine.shards" in ${configFile} must be a whole number from 1 to 32, not "two".`,
      `"recording.enabled" in ${configFile} must be true or false, not 1.`,
    ]);
  });

  test.each([
    [
      '{"engine": {"plyoutDelayMs": 40}}',
      '"engine.plyoutDelayMs" in FILE is not a setting of trunkline. Did you mean "playoutDelayMs"?',
    ],
    ['{"engine": {"out": "x"}}', '"engine.out" in FILE is not a setting of trunkline. It is "out" in "recording".'],
    ['{"engin": {}}', '"engin" in FILE is not a setting of trunkline. Did you mean "engine"?'],
    ['{"plyoutDelayMs": 40}', '"plyoutDelayMs" in FILE is not a setting of trunkline. Did you mean "playoutDelayMs"?'],
    ['{"engine": 3}', '"engine" in FILE must be an object of settings.'],
  ])('the file %s has a key that it should not have', (content, says) => {
    const configFile = file(content);
    expect(complaint({ configFile })).toBe(says.replace('FILE', configFile));
  });

  test('a key like nothing known lists what there is', () => {
    expect(complaint({ configFile: file('{"colour": 1, "__proto__": 2}') })).toMatch(
      /Groups of settings are: genesys, /,
    );
    expect(complaint({ configFile: file('{"audit": {"colour": 1}}') })).toMatch(
      /Settings of "audit" are: depth, key, signingKey, maxMegabytes, daily\.$/,
    );
  });

  test('a variable that is nearly one of ours is told; one that is not is left alone', () => {
    expect(complaint({ env: { TRUNKLINE_PLAYOUT_DELAI_MS: '40' } })).toMatch(
      /Did you mean TRUNKLINE_PLAYOUT_DELAY_MS\?$/,
    );
    expect(() => load({ env: { TRUNKLINE_SOMETHING_ELSE: '1' } })).not.toThrow();
  });

  test.each([
    ['no JSON', '{', /is not JSON/],
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
    expect(printableConfig(config)).toMatchObject({ clientSecret: '(set)', auditKey: '(set)', region: 'us-east-1' });
  });

  test('are not in complaints', () => {
    expect(complaint({ env: { TRUNKLINE_AUDIT_KEY: 'short' } })).toBe(
      'TRUNKLINE_AUDIT_KEY in the environment must be a text of 16 to 4096 characters.',
    );
  });

  test.each([
    ['a file with a syntax error', () => ({ configFile: file(`{"genesys": {"clientSecret": "${secret}" "x"}}`) })],
    ['a secret of the wrong kind', () => ({ configFile: file(`{"audit": {"key": ["${secret}"]}}`) })],
    ['a password in an address', () => ({ flags: { mediaUrl: `http://me:${secret.replaceAll(' ', '')}@host/` } })],
  ])('are not repeated by the complaint about %s', (_, sources) => {
    const said = complaint(sources());
    expect(said).not.toContain(secret);
    expect(said).not.toContain(secret.replaceAll(' ', ''));
  });
});

describe('the file by groups', () => {
  test('every setting can stand in the object of its group', () => {
    const content = {
      $schema: 'https://example.org/schema.json',
      genesys: { region: 'eu-west-1', queues: ['q'] },
      audiohook: { port: 8080, keysFile: 'keys.json' },
      engine: { playoutDelayMs: 60, includeSilent: true },
      recording: { enabled: false, out: 'there' },
      audit: { depth: 'packets' },
      operation: { drainSeconds: 3 },
    };
    expect(load({ configFile: file(JSON.stringify(content)) })).toMatchObject({
      ...{ region: 'eu-west-1', queues: ['q'], audiohookPort: 8080, audiohookKeys: 'keys.json' },
      ...{ playoutDelayMs: 60, includeSilent: true, record: false, out: 'there', audit: 'packets', drainSeconds: 3 },
    });
  });

  test('settings at the top level still work, with a warning that says where they belong', () => {
    const configFile = file('{"region": "eu-west-1", "audit": "off", "engine": {"shards": 2}, "shards": 3}');
    const { config, warnings } = loaded({ configFile });
    // What stands in the group wins.
    expect(config).toMatchObject({ region: 'eu-west-1', audit: 'off', shards: 2 });
    expect(warnings).toEqual([
      `${configFile} has settings at its top level: "region" is now "region" in "genesys", ` +
        '"audit" is now "depth" in "audit", "shards" is now "shards" in "engine".',
    ]);
  });
});

describe('names of the release before', () => {
  test.each<[string, ConfigSources, string]>([
    [
      'flags',
      { flags: { playoutDelayMs: '70' }, flagNames: { playoutDelayMs: '--hold-ms' } },
      '--hold-ms is now --playout-delay-ms.',
    ],
    [
      'variables',
      { env: { TRUNKLINE_HOLD_MS: '70' } },
      'TRUNKLINE_HOLD_MS in the environment is now TRUNKLINE_PLAYOUT_DELAY_MS.',
    ],
    ['keys of the file', { configFile: file('{"holdMs": 70}') }, 'is now "playoutDelayMs" in "engine"'],
  ])('%s work, with a warning', (_, sources, says) => {
    const { config, warnings } = loaded(sources);
    expect(config.playoutDelayMs).toBe(70);
    expect(warnings.join()).toContain(says);
  });

  test('the new variable wins over the old one', () => {
    const env = { TRUNKLINE_HOLD_WIDE_MS: '500', TRUNKLINE_MAX_PLAYOUT_DELAY_MS: '600' };
    expect(load({ env }).maxPlayoutDelayMs).toBe(600);
    expect(load({ env: { TRUNKLINE_AUDIOHOOK_DRAIN_SECONDS: '4' } }).drainSeconds).toBe(4);
  });

  test('a fault in an old one is told under its name', () => {
    expect(complaint({ env: { TRUNKLINE_HOLD_MS: 'long' } })).toBe(
      'TRUNKLINE_HOLD_MS in the environment must be a whole number from 0 to 2000, not "long".',
    );
  });
});

describe('effective settings', () => {
  const { config, origins } = loaded({
    configFile: file('{"engine": {"shards": 2}}'),
    env: { TRUNKLINE_AUDIT_KEY: 'correct horse battery', TRUNKLINE_API_URL: 'http://me:s3cret@127.0.0.1:1/' },
    flags: { out: 'there' },
  });

  test('come with where each is from, secrets masked', () => {
    const { engine, recording, audit, genesys } = effectiveSettings(config, origins);
    expect(engine?.['shards']).toEqual({ value: 2, origin: expect.stringMatching(/^"engine\.shards" in /) });
    expect(engine?.['playoutDelayMs']).toEqual({ value: 50, origin: 'default' });
    expect(recording?.['out']).toEqual({ value: 'there', origin: '--out' });
    expect(audit?.['key']).toEqual({ value: '(set)', origin: 'TRUNKLINE_AUDIT_KEY in the environment' });
    expect(genesys?.['apiUrl']?.value).toBe('http://me:(hidden)@127.0.0.1:1/');
  });

  test('as text have a line a setting under its group', () => {
    const text = effectiveText(effectiveSettings(config, origins));
    expect(text).toMatch(/^recording\n {2}out +there +--out$/m);
    expect(text.split('\n')).toHaveLength(SETTINGS.length + Object.keys(GROUPS).length);
    expect(text).not.toMatch(/s3cret|correct horse/);
  });
});

describe('documentation', () => {
  test('every setting is described, and names are unique', () => {
    for (const { name, description, env } of SETTINGS) {
      expect(description, name).toMatch(/^[A-Z].*\.$/);
      expect(env, name).toMatch(/^[A-Z][A-Z0-9_]+$/);
    }
    for (const namesOf of [
      SETTINGS.map(({ env }) => env),
      SETTINGS.map(({ flag }) => flag),
      SETTINGS.map(({ group, key }) => `${group}.${key}`),
      SETTINGS.flatMap(({ shortFlag = [] }) => shortFlag),
    ]) {
      expect(new Set(namesOf).size).toBe(namesOf.length);
    }
  });

  test('src/config/README.md has the table that follows from the schema', () => {
    const readme = readFileSync(new URL('../../src/config/README.md', import.meta.url), 'utf8');
    const [, table] = /<!-- settings: [^\n]*-->\n([\s\S]*?)\n<!-- \/settings -->/.exec(readme) ?? [];
    expect(table, 'print it with: npx trunkline config --markdown').toBe(settingsMarkdown());
  });

  test('the JSON Schema has every setting with its range, and none of our own keywords', () => {
    const schema = configFileSchema() as {
      properties: Record<string, { properties: Record<string, Record<string, unknown>> }>;
    };
    expect(schema.properties['engine']?.properties['playoutDelayMs']).toEqual({
      description: 'How long the jitter buffer holds a packet; when that is adaptive, what a channel begins with.',
      ...{ type: 'integer', minimum: 0, maximum: 2000, default: 50 },
    });
    expect(schema.properties['audit']?.properties['key']).toMatchObject({ type: 'string', writeOnly: true });
    for (const { group, key } of SETTINGS) {
      expect(schema.properties[group]?.properties[key], key).toHaveProperty('description');
    }
    expect(JSON.stringify(schema)).not.toMatch(/"(flag|env|secret|former|defaultText)"/);
  });
});
