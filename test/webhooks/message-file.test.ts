import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import type { Message } from '../../src/webhooks/message.js';
import { MessageFile, readMessageFile } from '../../src/webhooks/queue/message-file.js';
import { mountTiny, unmount } from '../support/recorder/tiny-disk.js';

function message(index: number): Message {
  return { id: `msg_${index}`, type: 'test', key: 'call', createdAtMs: index, body: 'x'.repeat(1_000) };
}

it('keeps a bounded part of what a full disk refuses, and every pending message when there is space again', async (context) => {
  const disk = mountTiny(256);
  if (disk === undefined) return context.skip('a small file system takes root');
  try {
    const pending = new Map<string, Message>();
    let faults = 0;
    const path = join(disk, 'messages.jsonl');
    const file = new MessageFile({
      path,
      writer: thisWriter(),
      pending: () => pending.values(),
      onFault: () => faults++,
    });
    // Six times the bound of what may wait, delivered one after the other as by a receiver that works.
    for (let index = 0; index < 24_000; index++) {
      const sent = message(index);
      pending.set(sent.id, sent);
      const added = file.add(sent);
      if (index % 1_000 === 0) await added;
      if (index >= 10) {
        const delivered = message(index - 10);
        pending.delete(delivered.id);
        file.done(delivered);
      }
    }
    await file.flush();
    expect(faults).toBeGreaterThan(0);
    expect(file.waitingCharacters).toBeLessThan(8 << 20);
    // Only the ten that are pending need space from here on.
    for (let tries = 0; tries < 50; tries++) {
      await file.flush();
      if ((await readMessageFile(path)).messages.length === 10) break;
      await wait(20);
    }
    const { messages, damaged } = await readMessageFile(path);
    expect(messages.map(({ id }) => id)).toEqual([...pending.keys()]);
    expect(damaged).toBe(0);
    await file.close(false);
  } finally {
    unmount(disk);
  }
});
