import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Addon } from '#addon';
import { messageOf, TrunklineError } from '../core/errors.js';
import { LAYOUT_VERSION } from '../ring/layout.js';

/** The C libraries that a platform's binary may be built for; npm installs the one that fits. */
const ABIS: Partial<Record<NodeJS.Platform, readonly string[]>> = { linux: ['-gnu', '-musl'], win32: ['-msvc'] };

/** The processors that there are packages for, on Linux with either C library; see `napi.targets` in package.json. */
const PACKAGED: readonly string[] = ['linux-x64', 'linux-arm64'];

/** The checkout or the installed package, seen from src/native or from dist/src/native. */
const ROOT = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url);

const require = createRequire(import.meta.url);

/**
 * Loads the native module: the one that was built in this checkout, or else that of the platform's package, which npm
 * installs as an optional dependency.
 * @throws TrunklineError NATIVE_UNAVAILABLE when there is none for this machine, or only one that does not load or was
 *   built for another version.
 */
export function loadAddon(): Addon {
  const platforms = (ABIS[process.platform] ?? ['']).map((abi) => `${process.platform}-${process.arch}${abi}`);
  const attempts = [
    ...platforms.map((platform) => () => builtHere(platform)),
    ...platforms.map((platform) => () => packaged(platform)),
  ];
  let refused: unknown;
  for (const attempt of attempts) {
    try {
      const addon = attempt();
      if (addon.LAYOUT_VERSION === LAYOUT_VERSION) return addon;
      refused ??= new Error(`it has ring layout ${addon.LAYOUT_VERSION}, trunkline ${LAYOUT_VERSION}`);
    } catch (thrown) {
      if (!isMissing(thrown)) refused ??= thrown;
    }
  }
  const why = refused === undefined ? 'there is none for this machine' : messageOf(refused);
  throw new TrunklineError(
    'NATIVE_UNAVAILABLE',
    `The native module cannot be used: ${why}. ${howToGetIt()}, or set native to auto or off.`,
    { cause: refused },
  );
}

function builtHere(platform: string): Addon {
  return require(fileURLToPath(new URL(`native/trunkline.${platform}.node`, ROOT)));
}

function packaged(platform: string): Addon {
  const name = `trunkline-${platform}`;
  const { version } = require(`${name}/package.json`) as { version: string };
  if (version !== ownVersion()) throw new Error(`${name} has version ${version}, trunkline ${ownVersion()}`);
  return require(name);
}

function howToGetIt(): string {
  if (existsSync(new URL('native/Cargo.toml', ROOT))) return 'Build it with `npm run build` (needs cargo and cmake)';
  const machine = `${process.platform}-${process.arch}`;
  if (PACKAGED.includes(machine)) {
    const name = `trunkline-${machine}${onMusl() ? '-musl' : '-gnu'}@${ownVersion()}`;
    return `Install it with \`npm install ${name}\` (npm leaves it out with --omit=optional)`;
  }
  return `There is no package for ${machine}: build it in a clone of the repository`;
}

/** Whether this process runs on musl: then musl's loader, which is its C library too, is mapped. */
function onMusl(): boolean {
  try {
    return /\/ld-musl-|-linux-musl\//.test(readFileSync('/proc/self/maps', 'utf8'));
  } catch {
    return false;
  }
}

function ownVersion(): string {
  return (require(fileURLToPath(new URL('package.json', ROOT))) as { version: string }).version;
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'MODULE_NOT_FOUND';
}
