import process from 'node:process';
import type { Command } from 'commander';
import { type Config, SETTINGS } from '../../config/schema.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import type { Finding } from '../doctor/finding.js';
import { print, printJson } from '../process/output.js';

export function registerDoctor(program: Command): Command {
  const command = program
    .command('doctor')
    .description('check whether this machine can run a node with these settings, and say how to fix what is wrong')
    // Before addSettingOptions: the command's own options win over settings of the same name.
    .option('--json', 'print what was found as one JSON object');
  return addSettingOptions(
    command,
    SETTINGS.map(({ name }) => name),
  )
    .addHelpText(
      'after',
      `
It takes the settings of \`trunkline run\` and checks Node, the native module, limits, memory, processors, the disk, the
clock, the connection to Genesys Cloud and the sign-in, and the ports, keys, certificates and tokens of both servers,
the receiver of webhooks, and the bucket of the archive, where it writes, verifies and deletes an object. It changes
nothing else and prints no secret. The exit code is 1 when a check fails; warnings do not change it.

Examples:
  $ trunkline doctor --config node.json
  $ trunkline doctor --queue ID --json`,
    )
    .action(async ({ json }: { json?: true }) => {
      const { findingText, worstOf } = await import('../doctor/finding.js');
      const findings = await diagnose(command);
      const status = worstOf(findings);
      if (json) printJson({ status, findings });
      else {
        print(`${findings.map(findingText).join('\n')}\n`);
        const count = (one: string) => findings.filter((finding) => finding.status === one).length;
        const warnings = count('warn');
        print(
          `\n${count('ok')} checks passed, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}, ${count('fail')} failed\n`,
        );
      }
      if (status === 'fail') process.exitCode = 1;
    });
}

async function diagnose(command: Command): Promise<Finding[]> {
  const [{ fail, ok, warn }, machine, disk, platform, servers, webhook, archive] = await Promise.all([
    import('../doctor/finding.js'),
    import('../doctor/machine.js'),
    import('../doctor/disk.js'),
    import('../doctor/platform.js'),
    import('../doctor/servers.js'),
    import('../doctor/webhook.js'),
    import('../doctor/archive.js'),
  ]);
  let config: Config;
  const settings: Finding[] = [];
  try {
    const loaded = loadSettings(command);
    config = loaded.config;
    settings.push(...loaded.warnings.map((text) => warn('settings', text, 'Use the new name.')));
  } catch (error) {
    // Without settings nothing else can be judged, but the version of Node.
    if (!(error instanceof TrunklineError)) throw error;
    const fix = '`trunkline config --markdown` lists every setting.';
    return [machine.checkNode(), fail('settings', messageOf(error), fix)];
  }
  const subscribes = hasSubscription(config);
  if (!subscribes && config.audiohookPort === undefined) {
    const fix =
      'Give what the node is to be given: --queue, --user, --interactions, --interactions-file, --audiohook-port.';
    settings.push(warn('settings', 'no source is configured: its checks are left out', fix));
  }
  if (settings.length === 0) settings.push(ok('settings', 'read'));
  return [
    ...settings,
    machine.checkNode(),
    machine.checkNative(config),
    machine.checkOpenFiles(config),
    machine.checkMemory(config),
    machine.checkProcessors(config),
    ...disk.checkDisk(config),
    ...(subscribes || config.audiohookPort !== undefined ? await platform.checkPlatform(config, subscribes) : []),
    ...(await servers.checkAudioHook(config)),
    ...(await servers.checkControl(config)),
    ...(await webhook.checkWebhook(config)),
    ...(await archive.checkArchive(config)),
  ];
}

function hasSubscription({ clientId, interactions, interactionsFile, queues, users }: Config): boolean {
  const names = interactions.length + queues.length + users.length;
  return names > 0 || interactionsFile !== undefined || clientId !== undefined;
}
