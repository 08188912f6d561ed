import process from 'node:process';
import type { Writable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

/** What may wait for the reader of the log before lines are dropped. */
const LOG_BUFFER_BYTES = 1 << 20;
/** How long the end of the process waits for the readers of stdout and stderr. */
const FLUSH_MS = 250;
const FLUSH_LOOK_MS = 5;

let droppedLines = 0;
let jsonPrinted = false;

/**
 * Keeps a closed pipe, a full disk or a terminal that is gone from ending the process: what cannot be written is
 * dropped. Call it once, before anything is written.
 */
export function guardOutput(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', stdoutFailed);
}

/** Writes a result to stdout. */
export function print(text: string): void {
  try {
    process.stdout.write(text);
  } catch (error) {
    // Files are written synchronously: a full disk throws here.
    stdoutFailed(error as NodeJS.ErrnoException);
  }
}

/** Writes the one object that `--json` ends with. */
export function printJson(value: unknown): void {
  jsonPrinted = true;
  print(`${JSON.stringify(value)}\n`);
}

/** Whether `--json` has had its object. */
export function hasPrintedJson(): boolean {
  return jsonPrinted;
}

/** Writes a sentence about what went wrong to stderr. */
export function complain(sentence: string): void {
  writeLine(process.stderr, `trunkline: ${sentence}`);
}

/** Writes one line of the log to stderr. When nobody reads it, lines are dropped, and their number is logged later. */
export function writeLogLine(line: string, stream: Writable = process.stderr): void {
  if (stream.writableLength + line.length > LOG_BUFFER_BYTES) {
    droppedLines++;
    return;
  }
  if (droppedLines > 0) {
    const count = droppedLines;
    droppedLines = 0;
    writeLine(stream, `trunkline: ${count} log lines were dropped, because nobody read them`);
  }
  writeLine(stream, line);
}

/** Ends the process with the exit code that has been set. Waits a moment for the readers, never for ever. */
export async function exitProcess(): Promise<never> {
  // Errors of what was written last come a moment later, and may change the exit code.
  await setImmediate();
  const pending = () => process.stdout.writableLength + process.stderr.writableLength > 0;
  for (let waited = 0; pending() && waited < FLUSH_MS; waited += FLUSH_LOOK_MS) await sleep(FLUSH_LOOK_MS);
  // Whatever still hangs, such as a request that is not answered, must not keep the process.
  process.exit();
}

function writeLine(stream: Writable, line: string): void {
  try {
    stream.write(`${line}\n`);
  } catch {
    // There is nowhere left to say so.
  }
}

function stdoutFailed(error: NodeJS.ErrnoException): void {
  // `trunkline … | head -1` closes the pipe early, which is not an error.
  if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') return;
  process.exitCode = 1;
  complain(`cannot write to stdout: ${error.message}`);
}
