import { systemClock } from '../../src/core/clock.js';
import type { FrameSink, FrameView, StreamInfo } from '../../src/core/events.js';
import { LatencyMeter } from './latency.js';
import { type SubjectSettings, serve, tell } from './messages.js';
import { HOLD_US, makeNodeSubject, type NodeSubject } from './node-subject.js';
import { interactionIds } from './plan.js';
import { measureWindow } from './window.js';

/** Watches what the node delivers. What was made up in place of a packet is no delivery. */
class LatencySink implements FrameSink {
  readonly meter: LatencyMeter;
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #indexOfStream: Int32Array;

  constructor(settings: SubjectSettings) {
    const { load } = settings;
    this.meter = new LatencyMeter(load, HOLD_US);
    this.#indexOf = new Map(interactionIds(load.streams).map((id, index) => [id, index]));
    this.#indexOfStream = new Int32Array(Math.max(load.streams, 16));
  }

  streamOpened(info: StreamInfo): void {
    this.#indexOfStream[info.stream] = this.#indexOf.get(info.interactionId) ?? 0;
  }

  frame(frame: FrameView): void {
    if (frame.concealed) return;
    const index = this.#indexOfStream[frame.info.stream] as number;
    this.meter.packet(index, frame.sequenceNumber, frame.processedUs, systemClock.nowUs());
  }
}

let settings: SubjectSettings | undefined;
let subject: NodeSubject | undefined;
let sink: LatencySink | undefined;

serve(async (order) => {
  switch (order.kind) {
    case 'connect':
      settings = order.settings;
      sink = new LatencySink(settings);
      subject = makeNodeSubject(settings);
      subject.addSink(sink);
      await subject.start();
      return;
    case 'begin': {
      if (settings === undefined || subject === undefined || sink === undefined) return;
      const { meter } = sink;
      const node = subject;
      meter.begin(order.timetable);
      const measured = await measureWindow(
        settings.load,
        order.timetable,
        () => meter.packets,
        () => node.losses(),
      );
      const report = { backend: node.backend(), ...measured, packetsDelivered: meter.windowPackets };
      tell({ kind: 'measured', report: { ...report, ...meter.encoded() } });
      return;
    }
    case 'stop':
      await subject?.stop();
      process.disconnect?.();
  }
});
