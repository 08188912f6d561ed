import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Addon } from '#addon';
import { messageOf, TrunklineError } from '../core/errors.js';
import { LAYOUT_VERSION } from '../ring/layout.js';

/** The C libraries that a platform's binary may be built for; npm installs the one that fits. */
const ABIS: Partial<Record<NodeJS.Platform, readonly string[]>> = { linux: ['-gnu', '-musl'], win32: ['-msvc'] };

/** Where the addon may be: built in this checkout or package, or else in the package of the platform. */
function candidates(): string[] {
  // From src/native, or from dist/src/native.
  const root = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url);
  const platforms = (ABIS[process.platform] ?? ['']).map((abi) => `${process.platform}-${process.arch}${abi}`);
  return [
    ...platforms.map((platform) => fileURLToPath(new URL(`native/trunkline.${platform}.node`, root))),
    ...platforms.map((platform) => `trunkline-${platform}`),
  ];
}

/**
 * Loads the native module.
 * @throws TrunklineError NATIVE_UNAVAILABLE when there is none for this machine, or only one that does not load or was
 *   built for another ring layout.
 */
export function loadAddon(): Addon {
  const require = createRequire(import.meta.url);
  let refused: unknown;
  for (const candidate of candidates()) {
    let addon: Addon;
    try {
      addon = require(candidate);
    } catch (thrown) {
      if (!isMissing(thrown)) refused ??= thrown;
      continue;
    }
    if (addon.LAYOUT_VERSION === LAYOUT_VERSION) return addon;
    refused ??= new Error(`it has ring layout ${addon.LAYOUT_VERSION}, trunkline ${LAYOUT_VERSION}`);
  }
  const why = refused === undefined ? 'there is none for this machine' : messageOf(refused);
  throw new TrunklineError(
    'NATIVE_UNAVAILABLE',
    `The native module cannot be used: ${why}. Build it with \`npm run build\` (needs cargo and cmake), or set native to auto or off.`,
    { cause: refused },
  );
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'MODULE_NOT_FOUND';
}
