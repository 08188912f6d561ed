// Entropy-coded bytes are spread evenly, sound is not: of codes of either law, an even spread has a quarter in the two
// loudest of the eight segments and half in the four quietest. Speech has hardly any of the former, and a loud tone
// hardly any of the latter. With fewer bytes than this, chance decides.
const LEAST_BYTES = 40;
const EVEN_LOUD = 0.25;
const EVEN_QUIET = 0.5;
const SURELY_QUIET = 0.78;
// Standard deviations of a binomial that an even spread may be off.
const LEEWAY = 2.7;
// Of the distinct codes that as many even ones have on average; sound repeats itself.
const LEAST_VARIETY = 0.88;

// ITU-T G.711: both laws go out with bits inverted, PCMU with all, PCMA with every other.
const PCMU_INVERSION = 0xff;
const PCMA_INVERSION = 0x55;

/** Opus as to its framing, and nothing that would be sound under either law. */
export function isSurelyOpus(payload: Uint8Array): boolean {
  if (payload.length < LEAST_BYTES || !canBeOpus(payload)) return false;
  const evenVariety = 256 * (1 - (255 / 256) ** payload.length);
  if (new Set(payload).size < LEAST_VARIETY * evenVariety) return false;
  return [PCMU_INVERSION, PCMA_INVERSION].every((inversion) => {
    const { loud, quiet } = spread(payload, inversion);
    return isNear(loud, EVEN_LOUD, payload.length) && isNear(quiet, EVEN_QUIET, payload.length);
  });
}

/** No Opus as to its framing, or quiet sound under one of the laws. */
export function isSurelyG711(payload: Uint8Array): boolean {
  if (payload.length < LEAST_BYTES) return false;
  if (!canBeOpus(payload)) return true;
  return [PCMU_INVERSION, PCMA_INVERSION].some((inversion) => spread(payload, inversion).quiet >= SURELY_QUIET);
}

function isNear(share: number, even: number, bytes: number): boolean {
  return Math.abs(share - even) <= LEEWAY * Math.sqrt((even * (1 - even)) / bytes);
}

function spread(payload: Uint8Array, inversion: number): { loud: number; quiet: number } {
  let loud = 0;
  let quiet = 0;
  for (const code of payload) {
    const segment = ((code ^ inversion) >> 4) & 7;
    if (segment >= 6) loud++;
    else if (segment < 4) quiet++;
  }
  return { loud: loud / payload.length, quiet: quiet / payload.length };
}

/** The rules of RFC 6716 section 3.4 that a first look can check: R1, R3, R4 for the length and R5 for the duration. */
function canBeOpus(payload: Uint8Array): boolean {
  const [toc = 0, second = 0] = payload;
  switch (toc & 3) {
    case 0:
      return payload.length >= 1;
    case 1:
      return payload.length % 2 === 1;
    case 2: {
      if (payload.length < 2) return false;
      const isLong = second >= 252;
      return (isLong ? 3 + second + 4 * (payload[2] ?? 0) : 2 + second) <= payload.length;
    }
    default: {
      const frames = second & 0x3f;
      return payload.length >= 2 && frames > 0 && frames * frameMs(toc >> 3) <= 120;
    }
  }
}

/** RFC 6716 section 3.1, table 2. */
function frameMs(config: number): number {
  if (config < 12) return [10, 20, 40, 60][config & 3] as number;
  if (config < 16) return config & 1 ? 20 : 10;
  return 2.5 * 2 ** (config & 3);
}
