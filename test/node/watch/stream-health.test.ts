import { describe, expect, test } from 'vitest';
import { zeroCounts } from '../../../src/core/counts.js';
import type { ReceptionCounts, StreamInfo } from '../../../src/core/events.js';
import { silentLogger } from '../../../src/core/logger.js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { StreamHealth } from '../../../src/node/watch/stream-health.js';

const INFO: StreamInfo = {
  ...{ stream: 3, interactionId: 'call-1', codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 },
  startedAtMs: 0,
};

const FOREIGN = 'a channel has packets of a second numbering; they are not used, and only counted from now on';

/** One call of 50 packets a second, in virtual time. */
class Call {
  readonly lines: string[] = [];
  readonly counts: ReceptionCounts = zeroCounts();
  readonly health: StreamHealth;
  #seconds = 0;

  constructor() {
    const log = (level: string) => (fields: object | string, message?: string) => {
      const { interactionId, percent, packetsForeign } = fields as Readonly<Record<string, string | number>>;
      this.lines.push(
        [level, interactionId, message, percent, packetsForeign].filter((word) => word !== undefined).join(' '),
      );
    };
    const logger = { ...silentLogger, warn: log('warn'), info: log('info') };
    this.health = new StreamHealth(logger, ({ stream }) => (stream === INFO.stream ? this.counts : undefined));
    this.health.look(0);
    this.health.streamOpened(INFO);
  }

  /** So many seconds in which so many packets of 50 are lost, late, or not sent at all. */
  run(seconds: number, packets: { lost?: number; late?: number; sent?: number; foreign?: number } = {}): void {
    const { lost = 0, late = 0, sent = 50, foreign = 0 } = packets;
    for (let i = 0; i < seconds; i++) {
      this.counts.packetsReceived += sent - lost;
      this.counts.packetsLost += lost;
      this.counts.packetsLate += late;
      this.counts.packetsForeign += foreign;
      this.health.look(++this.#seconds * US_PER_SECOND);
    }
  }
}

describe('the health of a stream', () => {
  test('a good one logs nothing', () => {
    const call = new Call();
    call.run(60, { lost: 1 });
    expect(call.lines).toEqual([]);
  });

  test('12 % loss is a warning with the id of the call, once, and its end another line', () => {
    const call = new Call();
    call.run(30, { lost: 6 });
    call.run(30);
    expect(call.lines).toEqual([
      'warn call-1 packets of a call are lost 12',
      'info call-1 the loss of a call is over 0',
    ]);
  });

  test('between the thresholds nothing is logged again', () => {
    const call = new Call();
    for (const lost of [3, 2, 3, 2, 3]) call.run(5, { lost });
    expect(call.lines).toEqual(['warn call-1 packets of a call are lost 6']);
  });

  test('so is lateness', () => {
    const call = new Call();
    call.run(10, { late: 10 });
    call.run(10);
    expect(call.lines).toEqual([
      'warn call-1 packets of a call arrive too late 20',
      'info call-1 packets of a call arrive in time again 0',
    ]);
  });

  test('and a gap, unless the audio is withheld', () => {
    const call = new Call();
    call.run(5);
    call.run(9, { sent: 0 });
    expect(call.lines).toEqual([]);
    call.run(3, { sent: 0 });
    call.run(1);
    expect(call.lines).toEqual(['warn call-1 a call sends no packets', 'info call-1 a call sends packets again']);
    call.health.paused('call-1', true);
    call.run(60, { sent: 0 });
    call.health.paused('call-1', false);
    call.run(5, { sent: 0 });
    expect(call.lines).toHaveLength(2);
  });

  test('packets of a second numbering are a warning while the call runs, once', () => {
    const call = new Call();
    call.run(2);
    call.run(1, { foreign: 3 });
    expect(call.lines).toEqual([`warn call-1 ${FOREIGN} 3`]);
    call.run(10, { foreign: 50 });
    call.health.streamEnded(INFO, call.counts);
    expect(call.lines).toHaveLength(1);
  });

  test('also when the call ends within the first second', () => {
    const call = new Call();
    call.health.streamEnded(INFO, { ...call.counts, packetsForeign: 7 });
    expect(call.lines).toEqual([`warn call-1 ${FOREIGN} 7`]);
  });

  test('a stream that has ended is not looked at', () => {
    const call = new Call();
    call.health.streamEnded(INFO, call.counts);
    call.run(60, { sent: 0 });
    expect(call.lines).toEqual([]);
  });

  test('a few packets are no share', () => {
    const call = new Call();
    call.run(60, { sent: 2, lost: 1 });
    expect(call.lines).toEqual([]);
  });
});
