import process from 'node:process';

/** One stream as the table shows it. */
export interface TableRow {
  readonly interactionId: string;
  readonly codec: string;
  readonly state: 'speech' | 'silence' | 'lost' | 'paused' | 'ended';
  /** RMS level as a share of full scale, 0 to 1. */
  readonly level: number;
  readonly packets: number;
  readonly lostPercent: number;
  readonly seconds: number;
}

/** What the terminal can do. */
export interface TableSpace {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
  readonly unicode: boolean;
}

const BAR_CELLS = 12;
/** The quietest level that a bar shows; speech lies some 20 to 40 dB below full scale. */
const FLOOR_DB = -60;
/** Width of the columns beside the id, with the gaps between all of them. */
const OTHER_COLUMNS = 56;
/** Of two digits, like those of the rows. */
const NOTICE_COLOR = 36;
const COLOR = { speech: 32, silence: 90, lost: 31, paused: 33, ended: 90 } as const;

/**
 * The lines of the table, none wider than the terminal and together not higher than it; rows that do not fit are
 * counted in a line of their own. Pure: the same input gives the same lines.
 */
export function renderTable(rows: readonly TableRow[], footer: string, space: TableSpace): string[] {
  // The last column stays empty: some terminals wrap as soon as it is written.
  const width = Math.max(1, space.columns - 1);
  // On a narrow terminal the ids are cut first: the figures are in the other columns.
  const idWidth = Math.max(8, Math.min(36, width - OTHER_COLUMNS, Math.max(11, ...rows.map(idLength))));
  // Heading, footer, and the line of the cursor.
  const fitting = Math.max(1, space.rows - 3);
  const shown = rows.length <= fitting ? rows : rows.slice(0, fitting - 1);
  const heading = [
    'interaction'.padEnd(idWidth),
    'codec',
    'state  ',
    'level'.padEnd(BAR_CELLS),
    'packets',
    '  lost',
    '   time',
  ];
  const lines = [cut(heading.join('  '), width)];
  for (const row of shown) {
    const line = cut(
      [
        printable(row.interactionId).slice(0, idWidth).padEnd(idWidth),
        row.codec.padEnd(5),
        row.state.padEnd(7),
        bar(row.level, space.unicode),
        String(row.packets).padStart(7),
        `${row.lostPercent.toFixed(1)}%`.padStart(6),
        clockTime(row.seconds).padStart(7),
      ].join('  '),
      width,
    );
    lines.push(space.color ? `\x1b[${COLOR[row.state]}m${line}\x1b[0m` : line);
  }
  if (shown.length < rows.length) lines.push(cut(`and ${rows.length - shown.length} more`, width));
  lines.push(cut(printable(footer), width));
  return lines;
}

function bar(level: number, unicode: boolean): string {
  const db = level > 0 ? 20 * Math.log10(level) : FLOOR_DB;
  const cells = Math.round(Math.min(1, Math.max(0, 1 - db / FLOOR_DB)) * BAR_CELLS);
  return (unicode ? '█' : '#').repeat(cells) + (unicode ? '·' : '.').repeat(BAR_CELLS - cells);
}

function clockTime(seconds: number): string {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = `${String(minutes).padStart(2, '0')}:${String(rest).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${padded}` : padded;
}

function cut(line: string, width: number): string {
  return line.length <= width ? line : line.slice(0, width);
}

function idLength({ interactionId }: TableRow): number {
  return interactionId.length;
}

/** Ids come from the network: an escape sequence in one must not reach the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

/** The stream that a table is drawn on: process.stderr, or a stand-in for it. */
export interface TableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[J';

/**
 * A table that is redrawn in place on a terminal. Elsewhere each update writes its footer as a plain line, and close()
 * the whole table once. Nothing may write to the same terminal meanwhile except through `writeAbove`.
 */
export class LiveTable {
  readonly #stream: TableStream;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #rows: readonly TableRow[] = [];
  #footer = '';
  #notice = '';
  // Widths of the lines on the screen, for they may have been wrapped by a terminal that became narrower since.
  #drawn: number[] = [];
  #closed = false;
  readonly #restore = () => this.#stream.write(SHOW_CURSOR);

  constructor(stream: TableStream = process.stderr, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#stream = stream;
    this.#env = env;
    if (this.#live) {
      this.#stream.write(HIDE_CURSOR);
      process.once('exit', this.#restore);
    }
  }

  update(rows: readonly TableRow[], footer: string): void {
    if (this.#closed) return;
    this.#rows = rows;
    this.#footer = footer;
    if (this.#live) this.#redraw('');
    else this.#stream.write(`${printable(footer)}\n`);
  }

  /** A line below the footer that stays while lines of the log pass above; only on a terminal. */
  set notice(text: string) {
    this.#notice = printable(text);
  }

  /** Puts a finished line, such as one of the log, above the table. */
  writeAbove(line: string): void {
    if (this.#live && !this.#closed) this.#redraw(`${line}\n`);
    else this.#stream.write(`${line}\n`);
  }

  /** Leaves the last state standing and gives the terminal back. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#live) {
      process.removeListener('exit', this.#restore);
      this.#restore();
    } else if (this.#rows.length > 0) {
      this.#stream.write(`${renderTable(this.#rows, this.#footer, this.#space()).join('\n')}\n`);
    }
  }

  get #live(): boolean {
    return this.#stream.isTTY === true && this.#env['TERM'] !== 'dumb';
  }

  #redraw(above: string): void {
    const space = this.#space();
    const height = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / space.columns)), 0);
    const lines = this.#lines(space);
    const up = height > 0 ? `\x1b[${height}A\r` : '\r';
    // One write, so that no half-drawn table is ever seen.
    this.#stream.write(`${up}${CLEAR_BELOW}${above}${lines.join('\n')}\n`);
    this.#drawn = lines.map((line) => (line.startsWith('\x1b') ? line.length - 9 : line.length));
  }

  #lines(space: TableSpace): string[] {
    if (this.#notice === '') return renderTable(this.#rows, this.#footer, space);
    const notice = cut(this.#notice, space.columns - 1);
    const table = renderTable(this.#rows, this.#footer, { ...space, rows: space.rows - 1 });
    return [...table, space.color ? `\x1b[${NOTICE_COLOR}m${notice}\x1b[0m` : notice];
  }

  #space(): TableSpace {
    const locale = this.#env['LC_ALL'] || this.#env['LC_CTYPE'] || this.#env['LANG'] || '';
    // A terminal that does not know its size says 0.
    return {
      columns: this.#stream.columns || 80,
      rows: this.#live ? this.#stream.rows || 24 : Number.POSITIVE_INFINITY,
      color: this.#live && (this.#env['NO_COLOR'] ?? '') === '',
      unicode: /utf-?8/i.test(locale),
    };
  }
}
