import { hostname } from 'node:os';
import { z } from 'zod';
import { startTicks } from '../../../core/files/process-identity.js';
import { errnoOf } from './disk-fault.js';

/**
 * Which process writes a recording. It is part of every unfinished manifest, so that a repair can tell a recording that
 * is being written from one whose writer was killed.
 *
 * Node has no file locks. A process id alone is not enough: in a container a restarted process often gets the id of the
 * dead one, so the start time of the process is kept too, where the system has it (Linux). A writer on another host
 * cannot be looked up; for it the time of the last write decides (see repair-recording.ts).
 */
export const writerSchema = z.object({
  host: z.string(),
  pid: z.number().int().positive(),
  /** Clock ticks from boot to the start of the process; empty where the system does not say. */
  startTicks: z.string(),
});
export type Writer = z.infer<typeof writerSchema>;

export function thisWriter(): Writer {
  return { host: hostname(), pid: process.pid, startTicks: startTicks(process.pid) };
}

/** `unknown` for a writer on another host. */
export function writerState(writer: Writer): 'alive' | 'dead' | 'unknown' {
  if (writer.host !== hostname()) return 'unknown';
  try {
    process.kill(writer.pid, 0);
  } catch (thrown) {
    // EPERM: there is such a process, of another user.
    if (errnoOf(thrown) !== 'EPERM') return 'dead';
  }
  return startTicks(writer.pid) === writer.startTicks ? 'alive' : 'dead';
}
