import { describe, expect, test } from 'vitest';
import { createLogger, textLine } from '../../../src/cli/console/logger.js';

function logged(format: 'auto' | 'text' | 'json', isTty: boolean, level: 'info' | 'debug' = 'info') {
  const lines: string[] = [];
  const logger = createLogger({ logLevel: level, logFormat: format }, { isTty, write: (line) => lines.push(line) });
  return { logger, lines };
}

describe('the logger', () => {
  test.each([
    ['auto', true, false],
    ['auto', false, true],
    ['text', false, false],
    ['json', true, true],
  ] as const)('form %s with a terminal: %s', (format, isTty, isJson) => {
    const { logger, lines } = logged(format, isTty);
    logger.info({ streams: 3 }, 'started');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.startsWith('{')).toBe(isJson);
    expect(lines[0]).not.toMatch(/\n/);
  });

  test('keeps to its level', () => {
    const { logger, lines } = logged('json', false);
    logger.debug('not this');
    logger.warn('this');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['this']);
  });

  test.each(['text', 'json'] as const)('hides secrets and sound, at any of three depths (%s)', (format) => {
    const { logger, lines } = logged(format, false);
    logger.info(
      { clientSecret: 's3cret', request: { authorization: 'Bearer s3cret', headers: { authorization: 's3cret' } } },
      'sign-in',
    );
    logger.info({ packet: { payload: 's3cret' } }, 'packet');
    expect(lines.join('\n')).not.toContain('s3cret');
    expect(lines.join('\n').match(/\[hidden\]/g)).toHaveLength(4);
  });
});

describe('textLine', () => {
  test('has time, level, message and fields', () => {
    const time = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    expect(textLine(JSON.stringify({ level: 40, time, msg: 'slow', waitMs: 12, why: 'ring full' }))).toBe(
      '03:04:05.678 WARN  slow waitMs=12 why="ring full"',
    );
  });

  test('has the message of an error', () => {
    expect(textLine(JSON.stringify({ level: 50, time: 0, msg: 'failed', err: { message: 'no route' } }))).toBe(
      '00:00:00.000 ERROR failed error="no route"',
    );
    expect(textLine(JSON.stringify({ level: 50, time: 0, msg: 'no route', err: { message: 'no route' } }))).toBe(
      '00:00:00.000 ERROR no route',
    );
  });

  test('is one line whatever it is told', () => {
    expect(textLine(JSON.stringify({ level: 30, time: 0, msg: 'a\n\x1b[2Jb' }))).toBe('00:00:00.000 INFO  a??[2Jb');
  });
});
