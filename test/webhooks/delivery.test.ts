import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { Delivery, type DeliveryDependencies } from '../../src/webhooks/delivery/delivery.js';
import { type WebhookOptions, webhookOptionsSchema } from '../../src/webhooks/options.js';
import { readDeadLetters, takeDeadLetters } from '../../src/webhooks/queue/dead-letters.js';
import { below, mulberry32 } from '../support/random.js';
import { mountTiny, unmount } from '../support/recorder/tiny-disk.js';
import { until } from '../support/until.js';
import { Receiver, SECRET } from '../support/webhooks/receiver.js';

let directory: string;
let receiver: Receiver;
const deliveries: Delivery[] = [];
let states: string[];
let faults: unknown[];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'trunkline-webhooks-'));
  receiver = await new Receiver().start();
  states = [];
  faults = [];
});
afterEach(async () => {
  for (const delivery of deliveries.splice(0)) await delivery.close(0);
  await receiver.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function open(
  options: Partial<WebhookOptions> = {},
  dependencies: Partial<DeliveryDependencies> = {},
): Promise<Delivery> {
  const quick = { leastRetryMs: 5, mostRetryMs: 20 };
  const all = { url: receiver.url, secret: SECRET, directory, ...quick, ...options };
  const delivery = new Delivery(webhookOptionsSchema.parse(all), {
    clock: systemClock,
    onFault: (thrown) => faults.push(thrown),
    onState: (state) => states.push(state),
    onGivenUp: () => {},
    ...dependencies,
  });
  deliveries.push(delivery);
  await delivery.open();
  return delivery;
}

function started(interactionId: string) {
  const startedAt = '2026-01-01T00:00:00.000Z';
  return { interactionId, codec: 'pcmu', sampleRate: 8000, channels: 1, startedAt } as const;
}

function notify(delivery: Delivery, count: number, keys = count, from = 0): void {
  for (let n = from; n < from + count; n++) {
    delivery.notify('call.started', started(`call-${n}`), `key-${n % keys}`);
  }
}

function delivered(): unknown[] {
  return receiver.received.map(({ data }) => data['interactionId']);
}

function calls(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `call-${n}`);
}

/** Files of waiting notifications. */
function queueFiles(): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('queue-'));
}

describe('a notification', () => {
  it('is signed so that the library of the specification verifies it, and leaves nothing on the disk', async () => {
    const delivery = await open();
    notify(delivery, 1);
    await until(() => receiver.received.length === 1, 'the notification');
    const [{ id, type, data, headers }] = receiver.received as [(typeof receiver.received)[0]];
    expect(type).toBe('call.started');
    expect(data).toEqual(started('call-0'));
    expect(id).toMatch(/^msg_[0-9a-f]{32}$/);
    expect(headers['content-type']).toBe('application/json');
    await delivery.close(1000);
    expect(receiver.refused).toEqual([]);
    expect(queueFiles()).toEqual([]);
  });

  it('has a signature for each secret while one is replaced, and the secrets are read again', async () => {
    const former = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    let secrets = [former, SECRET];
    const delivery = await open({ secret: () => secrets });
    notify(delivery, 1);
    await until(() => receiver.received.length === 1, 'a notification by both secrets');
    expect(String(receiver.received[0]?.headers['webhook-signature']).split(' ')).toHaveLength(2);
    secrets = [former];
    delivery.reload();
    notify(delivery, 1, 1, 1);
    await until(() => receiver.refused.length > 0, 'a refusal of what the former secret alone has signed');
    secrets = [SECRET];
    delivery.reload();
    await until(() => receiver.received.length === 2, 'the same by the other secret');
  });

  it.each(['', 'whsec_', 'whsec_c2hvcnQ=', 'secret', `whsec_${Buffer.alloc(65).toString('base64')}`])(
    'is not sent with the secret "%s"',
    async (secret) => {
      const error = await open({ secret }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      if (secret.length > 6) expect(String(error)).not.toContain(secret);
    },
  );

  it('is for its owner alone, in a folder that has the permissions of the recordings', async () => {
    const above = join(directory, 'capture');
    await receiver.stop();
    const delivery = await open({ directory: join(above, 'hooks'), parentFolderMode: 0o750 });
    notify(delivery, 1);
    await delivery.written();
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([modeOf(above), modeOf(join(above, 'hooks'))]).toEqual(['750', '700']);
    const [name = ''] = readdirSync(join(above, 'hooks'));
    expect(modeOf(join(above, 'hooks', name))).toBe('600');
  });

  it('of a type that is not wanted is not made', async () => {
    const delivery = await open({ types: ['disk.low'] });
    notify(delivery, 1);
    delivery.notify('disk.low', { freeBytes: 1, watermarkBytes: 2 });
    await delivery.close(1000);
    expect(receiver.types).toEqual(['disk.low']);
  });
});

describe('a receiver', () => {
  it('that answers 500 at first gets the same notification again, with the same id', async () => {
    let times = 0;
    receiver.answer = (_received, response) => response.writeHead(++times < 4 ? 500 : 200).end();
    const delivery = await open();
    notify(delivery, 1);
    await until(() => delivery.stats().delivered === 1, 'the delivery');
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    expect(delivery.stats()).toMatchObject({ attempts: 4, failedAttempts: 3, waiting: 0 });
    expect(states).toEqual(['failing', 'accepting']);
  });

  it('gets the notifications of a call in their order, although it refuses every third one', async () => {
    let requests = 0;
    receiver.answer = (_received, response) => response.writeHead(++requests % 3 === 0 ? 503 : 200).end();
    const delivery = await open({ leastRetryMs: 1 });
    const accepted: string[] = [];
    const { answer } = receiver;
    receiver.answer = (received, response) => {
      answer(received, response);
      if (response.statusCode === 200) accepted.push(String(received.data['interactionId']));
    };
    notify(delivery, 60, 4);
    await until(() => delivery.stats().delivered === 60, 'all deliveries');
    for (let key = 0; key < 4; key++) {
      const own = accepted.filter((id) => Number(id.slice(5)) % 4 === key);
      expect(own).toEqual(calls(60).filter((_, n) => n % 4 === key));
    }
  });

  it('that is slow gets no more requests at a time than allowed, and one that never answers is cut off', async () => {
    receiver.answer = (_received, response) => setTimeout(() => response.writeHead(200).end(), 20);
    const delivery = await open({ concurrency: 3, timeoutSeconds: 5 });
    notify(delivery, 30);
    await until(() => delivery.stats().delivered === 30, 'all deliveries');
    expect(receiver.mostAtOnce).toBe(3);
    receiver.answer = () => {};
    await delivery.close(0);
    const impatient = await open({ timeoutSeconds: 0.1 });
    notify(impatient, 1);
    await until(() => impatient.stats().failedAttempts > 0, 'an attempt that took too long');
    expect(impatient.reason === '' || impatient.reason.includes('0.1 s')).toBe(true);
  });

  it('that says when to come back is left alone until then', async () => {
    let refusedUs = 0;
    let acceptedUs = 0;
    receiver.answer = (_received, response) => {
      if (refusedUs === 0) {
        refusedUs = systemClock.nowUs();
        response.writeHead(429, { 'retry-after': '1' }).end();
      } else {
        acceptedUs = systemClock.nowUs();
        response.writeHead(200).end();
      }
    };
    const delivery = await open();
    notify(delivery, 2);
    await until(() => delivery.stats().delivered === 2, 'both deliveries');
    // The other notification, which may have been under way, is not one that came back.
    expect(acceptedUs - refusedUs).toBeGreaterThan(900_000);
  });

  it('that answers 410 gets nothing more until the node is told to try again', async () => {
    receiver.answer = (_received, response) => response.writeHead(410).end();
    const delivery = await open({ concurrency: 1 });
    notify(delivery, 5);
    await until(() => delivery.state === 'gone', 'the receiver to be gone');
    notify(delivery, 5, 5, 5);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(receiver.received).toHaveLength(1);
    expect(delivery.stats().waiting).toBe(10);
    receiver.answer = (_received, response) => response.writeHead(200).end();
    delivery.reload();
    await until(() => delivery.stats().delivered === 10, 'all deliveries');
  });

  it('that redirects is not followed', async () => {
    const other = await new Receiver().start();
    try {
      receiver.answer = (_received, response) => response.writeHead(307, { location: other.url }).end();
      const delivery = await open();
      notify(delivery, 1);
      await until(() => delivery.stats().failedAttempts >= 3, 'failed attempts');
      expect(delivery.reason).toContain('redirect');
      expect(other.received).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('that answers without an end has accepted by its status', async () => {
    receiver.answer = (_received, response) => {
      response.writeHead(200);
      const endless = setInterval(() => response.write(Buffer.alloc(16_384)), 1);
      response.once('close', () => clearInterval(endless));
    };
    const delivery = await open({ timeoutSeconds: 0.5 });
    notify(delivery, 1);
    await until(() => delivery.stats().delivered === 1, 'the delivery');
    await until(() => receiver.atOnce === 0, 'the end of the connection');
    expect(receiver.received).toHaveLength(1);
  });

  it('that is down for long gets all in the end, and is asked by one request at a time meanwhile', async () => {
    await receiver.stop();
    const delivery = await open({ concurrency: 8, leastRetryMs: 10, mostRetryMs: 50 });
    notify(delivery, 500);
    await until(() => delivery.state === 'failing', 'the receiver to count as failing');
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Eight at once, and then one after another, with pauses between them.
    expect(delivery.stats().attempts).toBeLessThan(60);
    await receiver.start();
    await until(() => delivery.stats().delivered === 500, 'all deliveries');
    expect(states).toEqual(['failing', 'accepting']);
  });

  it('that refuses one notification gets the others, and the one becomes a dead letter', async () => {
    receiver.answer = ({ data }, response) => response.writeHead(data['interactionId'] === 'call-3' ? 500 : 200).end();
    const delivery = await open({ giveUpAfterHours: 0.1 / 3600 });
    notify(delivery, 10);
    await until(() => delivery.stats().deadLetters === 1, 'the dead letter');
    await until(() => delivery.stats().waiting === 0, 'the others');
    expect(delivery.stats().delivered).toBe(9);
    const [letter, ...others] = await readDeadLetters(directory);
    expect(letter).toMatchObject({ type: 'call.started', reason: 'the receiver answered 500' });
    expect(others).toEqual([]);
    receiver.answer = (_received, response) => response.writeHead(200).end();
    await takeDeadLetters(directory, async (messages) => {
      for (const message of messages) delivery.enqueue(message);
    });
    await until(() => delivery.stats().delivered === 10, 'the dead letter to be delivered');
    expect(receiver.received.at(-1)?.id).toBe(letter?.id);
    expect(await readDeadLetters(directory)).toEqual([]);
  });
});

describe('what waits', () => {
  it('survives the process: 10,000 notifications are delivered by the next one, each once', async () => {
    const count = 10_000;
    await receiver.stop();
    const first = await open();
    notify(first, count);
    await until(() => first.stats().waiting === count, 'all to be queued');
    await first.close(0);
    expect(queueFiles()).toHaveLength(1);
    leaveToDeadProcess();
    await receiver.start();
    const next = await open({ concurrency: 32 });
    await until(() => next.stats().delivered === count, 'all deliveries', 60_000);
    expect(delivered().sort()).toEqual(calls(count).sort());
    await next.close(0);
    expect(queueFiles()).toEqual([]);
  }, 90_000);

  it('is not taken from a live process, and a line that was cut off is skipped', async () => {
    await receiver.stop();
    const first = await open();
    notify(first, 3);
    await first.close(0);
    const [name = ''] = queueFiles();
    await receiver.start();
    // Its writer is this process, which lives.
    const next = await open();
    expect(next.stats().waiting).toBe(0);
    await next.close(0);
    leaveToDeadProcess();
    writeFileSync(join(directory, name), '{"add":{"id":"msg_cut', { flag: 'a' });
    const last = await open();
    await until(() => last.stats().delivered === 3, 'the whole ones');
    expect(faults).toEqual([]);
  });

  it('is bounded: what finds no space is refused and counted', async () => {
    await receiver.stop();
    const delivery = await open({ maxMessages: 10 });
    notify(delivery, 25);
    await until(() => delivery.stats().refused === 15, 'refusals');
    expect(delivery.stats().waiting).toBe(10);
  });

  it('is delivered although the disk is full, is written later, and the disk is not asked without end', async (context) => {
    const disk = mountTiny(64, join(directory, 'disk'));
    if (disk === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    try {
      await receiver.stop();
      const delivery = await open({ directory: disk });
      notify(delivery, 1);
      expect(() => writeFileSync(join(disk, 'ballast'), Buffer.alloc(1 << 18))).toThrow(/ENOSPC/);
      notify(delivery, 200, 200, 1);
      await until(() => delivery.stats().writeErrors > 0, 'a failed write');
      expect(delivery.stats().waiting).toBe(201);
      await receiver.start();
      await until(() => delivery.stats().delivered === 201, 'all deliveries');
      expect(delivered().sort()).toEqual(calls(201).sort());
      rmSync(join(disk, 'ballast'));
      await delivery.close(0);
    } finally {
      unmount(disk);
    }
  });

  it('shrinks on the disk again once it has been delivered', async () => {
    const delivery = await open({ concurrency: 32 });
    notify(delivery, 8_000);
    await until(() => delivery.stats().delivered === 8_000, 'all deliveries', 60_000);
    // The next write makes the file again.
    notify(delivery, 1, 1, 8_000);
    await until(() => delivery.stats().delivered === 8_001, 'one more');
    const [name = ''] = queueFiles();
    expect(readFileSync(join(directory, name)).length).toBeLessThan(1_200_000);
  }, 90_000);
});

describe('seeded faults of a receiver', () => {
  it.each([1, 2, 3])(
    'lose nothing, and keep the order of each call (seed %i)',
    async (seed) => {
      const random = mulberry32(seed);
      const accepted: string[] = [];
      receiver.answer = ({ data }, response) => {
        const fault = below(random, 8);
        if (fault === 0) response.writeHead(500).end();
        else if (fault === 1) response.writeHead(429, { 'retry-after': '0' }).end();
        else if (fault === 2) response.destroy();
        else {
          accepted.push(String(data['interactionId']));
          // The receiver has it, and the node does not know: it comes again, with the same id.
          if (fault === 3) response.destroy();
          else setTimeout(() => response.writeHead(202).end(), below(random, 4));
        }
      };
      const keys = 10;
      let made = 0;
      for (let process = 0; process < 4; process++) {
        const delivery = await open({ leastRetryMs: 1, mostRetryMs: 10 });
        notify(delivery, 50, keys, made);
        made += 50;
        // Each process ends with some of them undelivered, but for the last one.
        const target = process < 3 ? 20 : delivery.stats().delivered + delivery.stats().waiting;
        await until(() => delivery.stats().delivered >= target, 'deliveries');
        if (process === 3) await until(() => delivery.stats().waiting === 0, 'the rest');
        await delivery.close(0);
        leaveToDeadProcess();
      }
      expect(faults).toEqual([]);
      expect(receiver.refused).toEqual([]);
      const once = [...new Set(accepted)];
      expect(once.sort()).toEqual(calls(made).sort());
      for (let key = 0; key < keys; key++) {
        const own = [...new Set(accepted)].map((id) => Number(id.slice(5))).filter((n) => n % keys === key);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
    },
    30_000,
  );
});

/** As if the process that has written the file had ended: its id belongs to nobody. */
function leaveToDeadProcess(): void {
  for (const name of queueFiles()) {
    const path = join(directory, name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"pid":\d+/, '"pid":4194304'));
  }
}
