import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { parse as parseEnv } from 'dotenv';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  deployFile,
  effectiveSettings,
  freePort,
  hasProgram,
  output,
  started,
  trunkline,
} from '../support/cli/deploy-files.js';
import { MAIN } from '../support/cli/trunkline-process.js';

interface Service {
  readonly image: string;
  readonly command?: string[];
  readonly volumes: string[];
  readonly ports: string[];
  readonly [key: string]: unknown;
}

const compose = parse(deployFile('compose/compose.yaml')) as {
  readonly services: Record<string, Service>;
  readonly volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const node = compose.services['trunkline'];

const folder = mkdtempSync(join(tmpdir(), 'trunkline-compose-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the Compose file', () => {
  test('names images by a version, but for the one that is built here', () => {
    const unversioned = services.filter(([, { image }]) => !/:v?\d+\.\d+\.\d+$/.test(image)).map(([name]) => name);
    expect(unversioned).toEqual(['trunkline']);
  });

  test('publishes ports on this machine alone', () => {
    const ports = services.flatMap(([, service]) => service.ports);
    expect(ports.length).toBeGreaterThan(3);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('lets no service gain privileges', () => {
    for (const [name, service] of services) {
      expect(service['cap_drop'], name).toEqual(['ALL']);
      expect(service['security_opt'], name).toEqual(['no-new-privileges:true']);
    }
    expect(node?.['read_only']).toBe(true);
  });

  test('mounts files that --out writes, or that the guide has the operator make', () => {
    trunkline(['deploy', 'compose', '--out', folder]);
    const written = trunkline(['deploy', 'compose', '--out', folder]).stdout.split('\n');
    const mounts = services
      .flatMap(([, { volumes }]) => volumes.map((volume) => volume.split(':', 1)[0] ?? ''))
      .filter((source) => source.startsWith('./') && !source.startsWith('./secrets'))
      .map((source) => join(folder, source));
    expect(mounts.length).toBeGreaterThan(3);
    const missing = mounts.filter((mount) => !written.some((file) => file === mount || file.startsWith(`${mount}/`)));
    expect(missing).toEqual([]);
    const named = services
      .flatMap(([, { volumes }]) => volumes.map((volume) => volume.split(':', 1)[0] ?? ''))
      .filter((source) => !source.startsWith('.'));
    expect(Object.keys(compose.volumes).toSorted()).toEqual(named.toSorted());
  });

  test('gives the node longer to stop than it takes', () => {
    const drain = /TRUNKLINE_DRAIN_SECONDS=(\d+)/.exec(deployFile('docker/Dockerfile'))?.[1];
    expect(Number.parseInt(String(node?.['stop_grace_period']), 10)).toBeGreaterThan(Number(drain) + 1);
  });

  test('has an example of variables that the program takes', () => {
    const variables = parseEnv(deployFile('compose/trunkline.env.example'));
    const effective = effectiveSettings([], variables);
    const fromVariables = Object.values(effective)
      .flatMap((group) => Object.values(group))
      .filter(({ origin }) => origin.endsWith(' in the environment'));
    expect(fromVariables).toHaveLength(Object.keys(variables).length);
  });

  test('has a node that Prometheus can scrape by the name of its service, with a token and not without', async () => {
    const secrets = join(folder, 'secrets');
    const made = trunkline([
      'token',
      'create',
      'prometheus',
      '--role',
      'viewer',
      '--file',
      join(secrets, 'tokens.json'),
    ]);
    expect(made.status).toBe(0);
    writeFileSync(join(secrets, 'audiohook-keys.json'), JSON.stringify([{ apiKey: 'key', clientSecret: 'c2VjcmV0' }]));
    const example = Object.entries(parseEnv(deployFile('compose/trunkline.env.example')))
      .filter(([name]) => !/^GENESYS_|QUEUES$/.test(name))
      .map(([name, value]) => [name, value.replace('/etc/trunkline', secrets)]);
    const port = await freePort();
    const variables = {
      ...(Object.fromEntries(example) as Record<string, string>),
      TRUNKLINE_AUDIOHOOK_PORT: '0',
      TRUNKLINE_CONTROL_PORT: String(port),
      TRUNKLINE_OUT: join(folder, 'out'),
    };
    const { child } = await started([process.execPath, MAIN, ...(node?.command ?? [])], variables, folder);
    try {
      const scrape = (host: string, token?: string) =>
        new Promise<number | undefined>((resolve, reject) => {
          const headers = { host, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
          const asked = get({ host: '127.0.0.1', port, path: '/metrics', headers }, (response) => {
            response.resume();
            resolve(response.statusCode);
          });
          asked.on('error', reject);
        });
      const token = made.stdout.trim();
      expect(await scrape('trunkline:9464', token)).toBe(200);
      expect(await scrape('trunkline:9464')).toBe(401);
      expect(await scrape('another:9464', token)).not.toBe(200);
      // The health check of the image, as Docker runs it.
      const check = /^HEALTHCHECK .*\\\n\s*CMD (\[.*\])$/m.exec(deployFile('docker/Dockerfile'))?.[1] ?? '';
      const [program = '', ...args] = JSON.parse(check) as string[];
      const healthy = (env: Record<string, string>) =>
        spawnSync(program, args, { env: { PATH: process.env['PATH'] ?? '', ...env } }).status;
      expect(healthy({ TRUNKLINE_CONTROL_PORT: String(port) })).toBe(0);
      expect(healthy({ TRUNKLINE_CONTROL_PORT: '1' })).toBe(1);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test.skipIf(!hasProgram('docker', 'compose', 'version'))('is accepted by Docker Compose', () => {
    trunkline(['deploy', 'compose', '--out', folder]);
    writeFileSync(join(folder, 'trunkline.env'), deployFile('compose/trunkline.env.example'));
    writeFileSync(join(folder, '.env'), 'GRAFANA_PASSWORD=x\n');
    expect(output('docker', ['compose', '-f', join(folder, 'compose.yaml'), 'config', '--quiet'])).toBe('');
  });
});

describe('the settings of Prometheus and Grafana', () => {
  test.skipIf(!hasProgram('promtool', '--version'))('are accepted by promtool', () => {
    // At the paths that the Compose file mounts, which promtool reads.
    const settings = deployFile('compose/prometheus.yml').replaceAll('/etc/prometheus', folder);
    const token = /credentials_file: (.*)/.exec(settings)?.[1] ?? '';
    mkdirSync(dirname(token), { recursive: true });
    writeFileSync(token, 'token');
    writeFileSync(join(folder, 'rules.yml'), deployFile('prometheus/rules.yml'));
    writeFileSync(join(folder, 'check.yml'), settings);
    expect(output('promtool', ['check', 'config', join(folder, 'check.yml')])).toContain('SUCCESS');
  });

  test('point at the services of the Compose file', () => {
    const targets = [...deployFile('compose/prometheus.yml').matchAll(/targets: \[(.*)\]/g)].map(
      ([, target]) => target,
    );
    expect(targets).toEqual(['trunkline:9464']);
    const { datasources } = parse(deployFile('compose/grafana/datasources.yaml')) as { datasources: { url: string }[] };
    expect(datasources.map(({ url }) => url)).toEqual(['http://prometheus:9090']);
    const { providers } = parse(deployFile('compose/grafana/dashboards.yaml')) as {
      providers: { options: { path: string } }[];
    };
    const mounted = compose.services['grafana']?.volumes.map((volume) => volume.split(':')[1]);
    expect(mounted).toContain(providers[0]?.options.path);
  });
});
