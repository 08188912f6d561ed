import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
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
import { ROOT } from '../support/source-tree.js';

const stream = trunkline(['deploy', 'kubernetes']).stdout;
const documents = parseAllDocuments(stream);
const manifests = documents.map((document) => document.toJS() as unknown);

/** What is at a path such as `spec.ports.0.name`; undefined when nothing is. */
function at<Value>(value: unknown, path: string): Value {
  const found = path.split('.').reduce((one, key) => (one as Record<string, unknown> | undefined)?.[key], value);
  return found as Value;
}

function ofKind(kind: string): unknown[] {
  return manifests.filter((one) => at(one, 'kind') === kind);
}

const [set] = ofKind('StatefulSet');
const pod = at<unknown>(set, 'spec.template.spec');
const container = at<unknown>(pod, 'containers.0');
const settings = at<{ 'trunkline.json': string }>(ofKind('ConfigMap')[0], 'data')['trunkline.json'];
const secrets = at<Record<string, string>>(ofKind('Secret')[0], 'stringData');

const folder = mkdtempSync(join(tmpdir(), 'trunkline-kubernetes-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the manifests', () => {
  test('are YAML', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    expect(documents).toHaveLength(8);
  });

  test.skipIf(!hasProgram('kubernetes-validate', '--version'))('match the schemas of Kubernetes', () => {
    const file = join(folder, 'all.yaml');
    writeFileSync(file, stream);
    expect(output('kubernetes-validate', ['--strict', file])).toContain('statefulset/trunkline');
  });

  test.skipIf(!hasProgram('kubectl', 'kustomize', '--help'))('are put together by Kustomize', () => {
    const built = parseAllDocuments(output('kubectl', ['kustomize', join(ROOT, 'src/deploy/kubernetes')]));
    const kinds = built.map((document) => at<string>(document.toJS(), 'kind'));
    expect(kinds.toSorted()).toEqual(manifests.map((one) => at<string>(one, 'kind')).toSorted());
  });

  test('select the pods that the StatefulSet makes', () => {
    const labels = at<object>(set, 'spec.template.metadata.labels');
    expect(at(set, 'spec.selector.matchLabels')).toEqual(labels);
    expect(at(ofKind('PodDisruptionBudget')[0], 'spec.selector.matchLabels')).toEqual(labels);
    expect(at(ofKind('NetworkPolicy')[0], 'spec.podSelector.matchLabels')).toEqual(labels);
    expect(ofKind('Service').map((service) => at(service, 'spec.selector'))).toEqual([labels, labels]);
    expect(ofKind('Service').map((service) => at(service, 'metadata.name'))).toContain(at(set, 'spec.serviceName'));
  });

  test('meet the restricted Pod Security Standard', () => {
    expect(at(pod, 'securityContext')).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(at(container, 'securityContext')).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(at(pod, 'automountServiceAccountToken')).toBe(false);
    // Of the volumes, the standard allows these kinds, among others.
    for (const { name, ...kind } of at<{ name: string }[]>(pod, 'volumes')) {
      expect(['configMap', 'secret', 'emptyDir'], name).toContain(Object.keys(kind)[0]);
    }
    const user = /^USER (\d+):(\d+)$/m.exec(deployFile('docker/Dockerfile'))?.slice(1);
    expect(['runAsUser', 'runAsGroup'].map((key) => String(at(pod, `securityContext.${key}`)))).toEqual(user);
  });

  test('give the node longer to stop than it takes', () => {
    const { drainSeconds } = at<{ drainSeconds: number }>(JSON.parse(settings), 'operation');
    const wait = at<string[]>(container, 'lifecycle.preStop.exec.command').at(-1) ?? '';
    const waitSeconds = Number(/, (\d+)_000\)/.exec(wait)?.[1]);
    expect(waitSeconds).toBeGreaterThan(0);
    expect(at(pod, 'terminationGracePeriodSeconds')).toBeGreaterThan(waitSeconds + drainSeconds + 1);
  });

  test('probe the health checks on ports that exist', () => {
    const names = at<{ name: string }[]>(container, 'ports').map(({ name }) => name);
    for (const [probe, path] of [
      ['startupProbe', '/livez'],
      ['livenessProbe', '/livez'],
      ['readinessProbe', '/readyz'],
    ]) {
      expect(at(container, `${probe}.httpGet.path`)).toBe(path);
      expect(names, probe).toContain(at(container, `${probe}.httpGet.port`));
    }
    const ports = ofKind('Service').flatMap((service) => at<{ targetPort: string }[]>(service, 'spec.ports'));
    expect(ports.map(({ targetPort }) => targetPort).filter((port) => !names.includes(port))).toEqual([]);
  });

  test('have flags, settings and variables that the program takes', () => {
    const file = join(folder, 'trunkline.json');
    writeFileSync(file, settings);
    const [command, ...flags] = at<string[]>(container, 'args');
    expect(command).toBe('run');
    const env = at<{ name: string; valueFrom: unknown }[]>(container, 'env').map(({ name, valueFrom }) => [
      name,
      secrets[at<string>(valueFrom, 'secretKeyRef.key')] ?? '',
    ]);
    const effective = effectiveSettings(
      flags.map((word) => (word.endsWith('/trunkline.json') ? file : word)),
      Object.fromEntries(env),
    );
    expect(effective['audiohook']?.['port']?.value).toBe(at(container, 'ports.0.containerPort'));
    expect(effective['genesys']?.['clientSecret']?.value).toBe('(set)');
    const mounts = at<{ mountPath: string }[]>(container, 'volumeMounts').map(({ mountPath }) => mountPath);
    expect(mounts).toContain(effective['recording']?.['out']?.value);
  });

  test('start a node whose probes need no token', async () => {
    for (const [name, content] of Object.entries(secrets)) writeFileSync(join(folder, name), content);
    const file = join(folder, 'running.json');
    const here = JSON.parse(settings.replaceAll('/etc/trunkline/secrets', folder)) as Record<string, object>;
    const port = await freePort();
    const audiohook = { ...here['audiohook'], port: 0 };
    const control = { ...here['control'], port };
    const recording = { out: join(folder, 'out') };
    writeFileSync(file, JSON.stringify({ ...here, genesys: {}, audiohook, control, recording }));
    const args = at<string[]>(container, 'args').map((word) => (word.endsWith('/trunkline.json') ? file : word));
    const { child, ended } = await started([process.execPath, MAIN, ...args]);
    try {
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        const path = at<string>(container, `${probe}.httpGet.path`);
        expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, probe).toBe(200);
      }
      expect((await fetch(`http://127.0.0.1:${port}/api/v1/node`)).status).toBe(401);
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('mount every file that the settings name', () => {
    const named = [...settings.matchAll(/"\/etc\/trunkline\/secrets\/([^"]+)"/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(0);
    const volume = at<{ name: string }[]>(pod, 'volumes').find(({ name }) => name === 'secrets');
    const mounted = at<{ path: string }[]>(volume, 'secret.items').map(({ path }) => path);
    expect(mounted.toSorted()).toEqual(named.toSorted());
    expect(named.filter((name) => secrets[name ?? ''] === undefined)).toEqual([]);
  });
});
