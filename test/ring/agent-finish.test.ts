import { expect, it } from 'vitest';
import { AGENT_CONTROL, AgentHandle, BLOCKED, runAgent } from '../../src/ring/agent.js';

it('an agent that is told to stop ends in shares, and its heart beats between them', () => {
  const place = { memory: new SharedArrayBuffer(AGENT_CONTROL.BYTES), offset: 0 };
  const handle = new AgentHandle(place);
  const shares = [3, 2, BLOCKED, BLOCKED, 1, 0];
  const beats: number[] = [];
  handle.stop();
  const agent = {
    doWork: () => 0,
    finish: () => {
      beats.push(handle.heartbeat());
      return shares.shift() ?? 0;
    },
    close: () => beats.push(-1),
  };
  runAgent(agent, place, { idleMs: 1, naps: 0 });
  expect(beats).toEqual([1, 2, 3, 4, 5, 6, -1]);
});

it('an abandoned one is closed although its end is blocked', () => {
  const place = { memory: new SharedArrayBuffer(AGENT_CONTROL.BYTES), offset: 0 };
  let closed = 0;
  new AgentHandle(place).stop(true);
  runAgent({ doWork: () => 0, finish: () => BLOCKED, close: () => closed++ }, place, { idleMs: 1, naps: 0 });
  expect(closed).toBe(1);
});

it('what is published after a look at the rings, just before the stop, is done before the end', () => {
  const place = { memory: new SharedArrayBuffer(AGENT_CONTROL.BYTES), offset: 0 };
  const handle = new AgentHandle(place);
  let published = 0;
  let done = 0;
  const agent = {
    doWork: () => {
      if (published === 0) {
        // The rings were empty. While the agent returns, another thread publishes and then stops it.
        published = 3;
        handle.stop();
        return 0;
      }
      const work = published - done;
      done = published;
      return work;
    },
    finish: () => 0,
    close: () => {},
  };
  runAgent(agent, place, { idleMs: 1, naps: 0 });
  expect(done).toBe(3);
});
