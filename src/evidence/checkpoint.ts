/** The state of a log at one moment, which its owner signs. */
export interface Checkpoint {
  /** Name of the log. */
  readonly origin: string;
  /** Entries. */
  readonly size: number;
  readonly root: Buffer;
  /** Further lines that the log defines. */
  readonly extensions: readonly string[];
}

const ROOT_BYTES = 32;

/** The text of a checkpoint by C2SP tlog-checkpoint: origin, size and base64 of the root, a line each. */
export function checkpointText({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, size, root.toString('base64'), ...extensions].map((line) => `${line}\n`).join('');
}

/** Undefined for what is no checkpoint. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  if (!text.endsWith('\n')) return undefined;
  const [origin, sizeText, rootText, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || origin === '' || sizeText === undefined || rootText === undefined) return undefined;
  const size = Number(sizeText);
  const root = Buffer.from(rootText, 'base64');
  const isExact = /^(0|[1-9]\d*)$/.test(sizeText) && root.toString('base64') === rootText;
  if (!isExact || !Number.isSafeInteger(size) || root.length !== ROOT_BYTES || extensions.includes(''))
    return undefined;
  return { origin, size, root, extensions };
}
