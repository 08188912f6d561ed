import { afterEach, beforeEach, expect, it } from 'vitest';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';

let r: RecorderRig;
beforeEach(() => {
  r = new RecorderRig();
});
afterEach(() => {
  r.recorder.close();
  r.remove();
});

function feed(stream: number, from = 0): void {
  for (let at = from; at < from + 8000; at += 160) r.frame(stream, 0, at, tone(at, 160, 0));
}

it('on a disk that is nearly full new calls are not recorded; those under way go on, also in another format', () => {
  const { interactionId, startedAtMs } = streamInfo();
  r.open(streamInfo());
  feed(0);
  r.work();
  r.status.refuseNew(true);
  r.open(streamInfo({ stream: 1, interactionId: 'late' }));
  feed(1);
  r.closeStream(1);
  feed(0, 8000);
  r.closeStream(0, { endReason: 'formatChanged' });
  const segment = { number: 2, firstStartedAtMs: startedAtMs, startMs: 2000 };
  r.open(streamInfo({ stream: 2, codec: 'pcma', startedAtMs: startedAtMs + 2000, segment }));
  feed(2);
  r.closeStream(2);
  r.work();
  expect(r.folders()).toEqual([interactionId]);
  expect(r.manifest(interactionId).segments).toHaveLength(2);
  expect(r.status.counters()).toMatchObject({ recordingsRefused: 1, recordingsFinished: 2 });
  r.status.refuseNew(false);
  r.open(streamInfo({ stream: 3, interactionId: 'later' }));
  feed(3);
  r.closeStream(3);
  r.work();
  expect(r.folders().sort()).toEqual([interactionId, 'later'].sort());
});
