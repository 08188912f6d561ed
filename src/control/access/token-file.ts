import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { type Principal, ROLES, type Role } from './roles.js';

/** Begins every token, so that scanners for secrets find those that were committed or pasted by mistake. */
const PREFIX = 'trunkline_';
const RANDOM_BYTES = 32;
const MAX_TOKENS = 1_000;
/** Longer ones are not hashed at all. */
const MAX_TOKEN_LENGTH = 256;

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;

const entrySchema = z.strictObject({
  name: z.string().regex(NAME),
  role: z.enum(ROLES),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().exactOptional(),
});

const fileSchema = z.strictObject({ tokens: z.array(entrySchema).max(MAX_TOKENS) });

/** A token as its file holds it: only its hash, from which it cannot be found again. */
export type TokenEntry = z.infer<typeof entrySchema>;

/** What became of a token that was presented. */
export type TokenVerdict = Principal | 'unknown' | 'expired';

/**
 * A new token, and the entry that is stored of it. It has 256 random bits, so that its plain SHA-256 cannot be reversed:
 * a slow hash, as for passwords, would only cost time with each request.
 */
export function makeToken(
  name: string,
  role: Role,
  nowMs: number,
  expiresAtMs?: number,
): { token: string; entry: TokenEntry } {
  if (!NAME.test(name)) {
    const rule = 'begin with a letter and have at most 64 letters, digits, points, hyphens and underscores';
    throw new TrunklineError('CONFIG_INVALID', `The name of a token must ${rule}.`);
  }
  const token = `${PREFIX}${randomBytes(RANDOM_BYTES).toString('base64url')}`;
  const entry: TokenEntry = {
    ...{ name, role, sha256: hashOf(token).toString('hex') },
    createdAt: new Date(nowMs).toISOString(),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
  };
  return { token, entry };
}

/** The tokens of a file. */
export class Tokens {
  readonly #entries: readonly { readonly hash: Buffer; readonly principal: Principal; readonly expiresAtMs: number }[];

  constructor(entries: readonly TokenEntry[]) {
    this.#entries = entries.map(({ name, role, sha256, expiresAt }) => ({
      hash: Buffer.from(sha256, 'hex'),
      principal: { name, role, sha256 },
      expiresAtMs: expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt),
    }));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Whether the token is still there, with the same role. */
  has({ sha256, role }: Principal, nowMs: number): boolean {
    return this.#entries.some(
      ({ principal, expiresAtMs }) => principal.sha256 === sha256 && principal.role === role && nowMs < expiresAtMs,
    );
  }

  /** Compares with every entry, in constant time each, so that the time it takes says nothing. */
  verify(token: string, nowMs: number): TokenVerdict {
    if (token.length > MAX_TOKEN_LENGTH) return 'unknown';
    const hash = hashOf(token);
    let found: TokenVerdict = 'unknown';
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.hash, hash)) found = nowMs < entry.expiresAtMs ? entry.principal : 'expired';
    }
    return found;
  }
}

/** @throws TrunklineError CONFIG_INVALID when the file cannot be read or is not a token file. */
export function readTokenFile(file: string): TokenEntry[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const advice = 'Make one with "trunkline token create".';
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the tokens: ${messageOf(error)}. ${advice}`, {
      cause: error,
    });
  }
  return parsedTokens(file, text);
}

function parsedTokens(file: string, text: string): TokenEntry[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new TrunklineError('CONFIG_INVALID', `${file} is not a token file: it is not JSON.`);
  }
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) {
    const places = parsed.error.issues.map(({ path }) => path.join('.') || 'the object').join(', ');
    throw new TrunklineError('CONFIG_INVALID', `${file} is not a token file; wrong at: ${places}.`);
  }
  const names = parsed.data.tokens.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new TrunklineError('CONFIG_INVALID', `${file} has two tokens called "${twice}"; revoke one of them.`);
  }
  return parsed.data.tokens;
}

/** The text of a token file. */
export function tokenFileText(tokens: readonly TokenEntry[]): string {
  return `${JSON.stringify({ tokens }, null, 2)}\n`;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
