import { describe, expect, test } from 'vitest';
import { LiveTable, renderTable, type TableRow, type TableSpace } from '../../../src/cli/console/live-table.js';

const SPACE: TableSpace = { columns: 100, rows: 24, color: false, unicode: false };

function row(interactionId: string, more: Partial<TableRow> = {}): TableRow {
  return {
    interactionId,
    codec: 'pcmu',
    state: 'speech',
    level: 0.1,
    packets: 500,
    lostPercent: 0,
    seconds: 10,
    ...more,
  };
}

describe('renderTable', () => {
  test('shows a row a stream and the footer last', () => {
    expect(renderTable([row('call-1', { lostPercent: 2.04, seconds: 3671 })], '1 stream', SPACE)).toEqual([
      'interaction  codec  state    level         packets    lost     time',
      'call-1       pcmu   speech   ########....      500    2.0%  1:01:11',
      '1 stream',
    ]);
  });

  test.each([
    [0, '............'],
    [0.001, '............'],
    [0.0316, '######......'],
    [1, '############'],
    [4, '############'],
  ])('a level of %f of full scale is drawn in decibels', (level, bar) => {
    expect(renderTable([row('a', { level })], '', SPACE)[1]).toContain(`  ${bar}  `);
  });

  test('fits every size of terminal', () => {
    const rows = Array.from({ length: 30 }, (_, i) => row(`interaction-${i}`));
    for (let columns = 1; columns < 120; columns += 7) {
      for (let height = 3; height < 40; height += 5) {
        const lines = renderTable(rows, 'footer', { ...SPACE, columns, rows: height });
        // At least heading, one line and footer, however low the terminal is.
        expect(lines.length).toBeLessThanOrEqual(Math.max(3, height - 1));
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(1, columns - 1));
      }
    }
  });

  test('counts the streams that do not fit', () => {
    const rows = Array.from({ length: 30 }, (_, i) => row(`interaction-${i}`));
    const lines = renderTable(rows, 'footer', { ...SPACE, rows: 13 });
    expect(lines).toHaveLength(12);
    expect(lines.at(-2)).toBe('and 21 more');
  });

  test('lets no control character of an id through', () => {
    const lines = renderTable([row('a\x1b[2Jb\nc')], 'x\ry', SPACE).join('\n');
    expect(lines).toContain('a?[2Jb?c');
    expect(lines).not.toContain('\x1b');
    expect(lines).not.toContain('\r');
  });
});

/** A terminal that does what the escape sequences say, so that what is tested is what a person would see. */
class Screen {
  isTTY = true;
  columns = 80;
  rows = 24;
  cursorShown = true;
  lines: string[] = [''];
  #y = 0;

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
    for (const part of text.match(/\x1b\[\??\d*[A-Za-z]|\n|\r|[^\x1b\n\r]+/g) ?? []) {
      if (part === '\n') this.#goTo(this.#y + 1);
      else if (part === '\r') continue;
      else if (part.endsWith('A') && part.startsWith('\x1b')) this.#goTo(this.#y - Number(part.slice(2, -1)));
      else if (part === '\x1b[J') this.lines.length = this.#y + 1;
      else if (part === '\x1b[?25l') this.cursorShown = false;
      else if (part === '\x1b[?25h') this.cursorShown = true;
      else if (!part.startsWith('\x1b')) this.#print(part);
    }
  }

  #print(text: string): void {
    this.lines[this.#y] = text;
  }

  #goTo(y: number): void {
    this.#y = Math.max(0, y);
    while (this.lines.length <= this.#y) this.lines.push('');
  }
}

const ENV = { LANG: 'C', NO_COLOR: '1' };

describe('LiveTable', () => {
  test('is redrawn in place on a terminal', () => {
    const screen = new Screen();
    const table = new LiveTable(screen, ENV);
    table.update([row('a'), row('b')], 'first');
    table.update([row('a')], 'second');
    expect(screen.lines).toEqual([expect.stringMatching(/^interaction/), expect.stringMatching(/^a /), 'second', '']);
    table.close();
  });

  test('puts lines of the log above itself', () => {
    const screen = new Screen();
    const table = new LiveTable(screen, ENV);
    table.update([row('a')], 'footer');
    table.writeAbove('something happened');
    table.writeAbove('and more');
    expect(screen.lines.slice(0, 2)).toEqual(['something happened', 'and more']);
    expect(screen.lines.at(-2)).toBe('footer');
    expect(screen.lines.filter((line) => line === 'footer')).toHaveLength(1);
    table.close();
  });

  test('keeps its notice below the footer, within the height of the terminal', () => {
    const screen = new Screen();
    screen.rows = 8;
    const table = new LiveTable(screen, ENV);
    table.notice = 'Console: http://127.0.0.1:9464';
    table.update(
      Array.from({ length: 20 }, (_, n) => row(`call-${n}`)),
      'footer',
    );
    table.writeAbove('something happened');
    expect(screen.lines.slice(-3)).toEqual(['footer', 'Console: http://127.0.0.1:9464', '']);
    // The line of the log, and a table that leaves the line of the cursor free.
    expect(screen.lines).toHaveLength(1 + screen.rows);
    table.close();
  });

  test('goes up over lines that a narrower terminal has wrapped', () => {
    const written: string[] = [];
    const terminal = { isTTY: true, columns: 80, rows: 24, write: (text: string) => written.push(text) };
    const table = new LiveTable(terminal, ENV);
    table.update([row('a')], 'footer');
    terminal.columns = 30;
    table.update([row('a')], 'footer');
    const height = renderTable([row('a')], 'footer', { ...SPACE, columns: 80 })
      .map((line) => Math.ceil(line.length / 30))
      .reduce((sum, lines) => sum + lines);
    expect(written.at(-1)).toContain(`\x1b[${height}A`);
    table.close();
  });

  test('takes a terminal that does not know its size for one of 80 by 24', () => {
    const screen = new Screen();
    screen.columns = 0;
    screen.rows = 0;
    const table = new LiveTable(screen, ENV);
    table.update([row('a')], 'first');
    table.update([row('a')], 'second');
    expect(screen.lines).toEqual([
      expect.stringMatching(/^interaction {2}codec/),
      expect.stringMatching(/^a /),
      'second',
      '',
    ]);
    table.close();
  });

  test('hides the cursor while it runs and gives it back', () => {
    const screen = new Screen();
    const listeners = process.listenerCount('exit');
    const table = new LiveTable(screen, ENV);
    expect(screen.cursorShown).toBe(false);
    expect(process.listenerCount('exit')).toBe(listeners + 1);
    table.close();
    table.close();
    expect(screen.cursorShown).toBe(true);
    expect(process.listenerCount('exit')).toBe(listeners);
  });

  test('writes plain lines where there is no terminal, and the whole table once at the end', () => {
    let text = '';
    const table = new LiveTable({ write: (more) => (text += more) }, ENV);
    table.update([row('a')], 'first');
    table.writeAbove('log');
    table.update([row('a'), row('b')], 'second');
    table.close();
    expect(text).not.toContain('\x1b');
    expect(text.split('\n')).toEqual([
      'first',
      'log',
      'second',
      expect.stringMatching(/^interaction/),
      expect.stringMatching(/^a /),
      expect.stringMatching(/^b /),
      'second',
      '',
    ]);
  });
});
