import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Argument, type Command } from 'commander';
import { TrunklineError } from '../../core/errors.js';
import { makeFolder } from '../../core/make-folder.js';
import { writeFileAtomically } from '../process/atomic-file.js';
import { complain, print } from '../process/output.js';

/** Where the files are in the package. */
const DEPLOY = join('src', 'deploy');

const DASHBOARD = 'grafana/dashboard.json';
const RULES = 'prometheus/rules.yml';

interface DeployFile {
  /** Path below src/deploy. */
  readonly source: string;
  /** Path below the folder that it is written into. */
  readonly target: string;
}

/** What each target has. */
const TARGETS = {
  systemd: 'hardened unit of a service, its user, and a template of its settings',
  docker: 'Dockerfile of an image that runs without root and has no build tools',
  compose: 'Compose file of a node with Prometheus and Grafana, and what they need',
  kubernetes: 'StatefulSet, Services, PodDisruptionBudget, NetworkPolicy, templates of settings and secrets',
  grafana: 'dashboard, to be imported',
  prometheus: 'alert rules, and settings of Prometheus that load them',
} as const;
type TargetName = keyof typeof TARGETS;

/** All files of a target. Of several, the first is the one that is printed when none is named. */
function filesOf(name: TargetName): DeployFile[] {
  switch (name) {
    case 'systemd':
      return below('systemd', 'trunkline.service', 'trunkline.sysusers.conf', 'trunkline.json');
    case 'docker':
      return below('docker', 'Dockerfile', 'Dockerfile.dockerignore');
    case 'compose':
      return [
        ...below('compose', 'compose.yaml', 'trunkline.env.example', 'prometheus.yml'),
        ...below('compose', 'grafana/datasources.yaml', 'grafana/dashboards.yaml'),
        { source: DASHBOARD, target: 'grafana/dashboards/trunkline.json' },
        { source: RULES, target: 'prometheus/rules.yml' },
      ];
    case 'kubernetes':
      return below('kubernetes', 'kustomization.yaml', ...MANIFESTS);
    case 'grafana':
      return [{ source: DASHBOARD, target: 'trunkline.json' }];
    case 'prometheus':
      return [{ source: RULES, target: 'rules.yml' }, ...below('prometheus', 'prometheus.yml')];
  }
}

/** In the order in which a cluster should get them. */
const MANIFESTS = [
  ...['serviceaccount.yaml', 'secret.yaml', 'configmap.yaml', 'service.yaml', 'statefulset.yaml'],
  ...['poddisruptionbudget.yaml', 'networkpolicy.yaml'],
];

function below(folder: string, ...names: readonly string[]): DeployFile[] {
  return names.map((name) => ({ source: `${folder}/${name}`, target: name }));
}

export function registerDeploy(program: Command): Command {
  const list = Object.entries(TARGETS).map(([name, description]) => `  ${name.padEnd(12)}${description}`);
  return program
    .command('deploy')
    .description('print ready-made files for systemd, Docker, Compose, Kubernetes, Grafana or Prometheus')
    .addArgument(new Argument('<target>', 'what the files are for').choices(Object.keys(TARGETS)))
    .argument('[file]', 'the file to print; without it the main one, of kubernetes all manifests')
    .option('--out <dir>', 'write all files of the target into this folder instead')
    .addHelpText(
      'after',
      `
Targets:
${list.join('\n')}

The unit has the paths of Node and of trunkline as they are here. src/deploy/README.md, the operations guide, explains
every file.

Examples:
  $ trunkline deploy systemd > /etc/systemd/system/trunkline.service
  $ trunkline deploy compose --out trunkline-compose
  $ trunkline deploy kubernetes | kubectl apply -f -`,
    )
    .action(async (target: TargetName, file: string | undefined, { out }: { out?: string }) => {
      if (out !== undefined) await writeFiles(file === undefined ? filesOf(target) : [fileOf(target, file)], out);
      else if (file !== undefined) print(contentOf(fileOf(target, file)));
      else printMain(target);
    });
}

function printMain(target: TargetName): void {
  if (target === 'kubernetes') {
    print(
      below('kubernetes', ...MANIFESTS)
        .map(contentOf)
        .join('---\n'),
    );
    return;
  }
  const [main, ...others] = filesOf(target);
  if (main === undefined) throw new TrunklineError('FILE_FAILED', `This installation has no files for ${target}.`);
  print(contentOf(main));
  if (others.length > 0) complain(`--out writes further files: ${others.map((file) => file.target).join(', ')}`);
}

/** Leaves files alone that somebody has edited. */
async function writeFiles(files: readonly DeployFile[], folder: string): Promise<void> {
  const written = files.map((file) => ({ path: join(folder, file.target), content: contentOf(file) }));
  const edited = written.filter(({ path, content }) => existsSync(path) && readFileSync(path, 'utf8') !== content);
  if (edited.length > 0) {
    const paths = edited.map(({ path }) => path).join(', ');
    throw new TrunklineError(
      'FILE_FAILED',
      `Files with other content are there: ${paths}. Name another folder, or delete them.`,
    );
  }
  for (const { path, content } of written) {
    await makeFolder(dirname(path));
    writeFileAtomically(path, content);
    print(`${path}\n`);
  }
}

function fileOf(target: TargetName, name: string): DeployFile {
  const files = filesOf(target);
  const found = files.find((file) => file.target === name);
  if (found !== undefined) return found;
  const known = files.map((file) => file.target).join(', ');
  throw new TrunklineError('CONFIG_INVALID', `The target ${target} has no file ${name}; its files are: ${known}.`);
}

/** Where the package is, with its `src` in it. Found by its own name, from the sources as well as from the build. */
function packageFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('trunkline/package.json'));
}

function contentOf({ source }: DeployFile): string {
  const folder = packageFolder();
  const text = readFileSync(join(folder, DEPLOY, source), 'utf8');
  if (!source.endsWith('.service')) return text;
  if (/^\/(?:home|root|run\/user|tmp|var\/tmp)\//.test(`${folder}/`)) {
    complain(`the service will not see ${folder}: the unit hides /home, /root, /run/user, /tmp and /var/tmp`);
  }
  return text.replace('/usr/bin/node /opt/trunkline/', () => `${unitWord(process.execPath)} ${unitWord(folder)}/`);
}

/** A path as a word of a unit's command line, where % and $ have a meaning. */
function unitWord(path: string): string {
  const escaped = path.replaceAll('%', '%%').replaceAll('$', () => '$$');
  return /[\s"'\\;]/.test(escaped) ? `"${escaped.replace(/["\\]/g, '\\$&')}"` : escaped;
}
