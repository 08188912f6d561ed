// What failed in the tests, in few lines, for logs of which only the end is kept.
//
// As a reporter of Vitest, it appends one line of JSON for each failure, when it happens, to the file that
// TRUNKLINE_FAILURES names: the results of Vitest's JSON reporter have no message for a test that timed out, and none of
// them are there when the run is killed. As a program, it prints them in no more than LINES lines:
//
//   node .ci/failures.mjs LINES FILE
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const MAX_TESTS = 30;
const MAX_RETRIED = 10;
const MAX_MESSAGE_LINES = 6;
const MAX_COLUMNS = 200;

/** The message, where it was thrown in this repository, and the difference. */
function described({ message = 'no message', stack = '', diff = '' }) {
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line) && !line.includes('node_modules'));
  const frames = frame === undefined ? [] : [frame.trim().replace(`${process.cwd()}/`, '')];
  return [...message.split('\n'), ...frames, ...diff.split('\n')].filter((line) => line.trim() !== '');
}

function append(title, errors, whole, isRetried = false) {
  const lines = errors.flatMap(described).slice(0, MAX_MESSAGE_LINES);
  appendFileSync(process.env.TRUNKLINE_FAILURES, `${JSON.stringify({ title, lines, whole, isRetried })}\n`);
}

export default class FailuresReporter {
  onTestCaseResult(test) {
    const { state, errors } = test.result();
    const name = `${relative('.', test.module.moduleId)} > ${test.fullName}`;
    if (state === 'failed') append(name, errors, false);
    // Tests that may be repeated say so; that they had to be is said at the end of the log.
    else if (test.diagnostic()?.flaky) append(name, errors ?? [], false, true);
  }

  onTestSuiteResult(suite) {
    const errors = suite.errors();
    if (errors.length > 0) append(`${relative('.', suite.module.moduleId)} > ${suite.fullName} (hooks)`, errors, true);
  }

  onTestModuleEnd(module) {
    const errors = module.errors();
    if (errors.length > 0) append(`${relative('.', module.moduleId)} (the whole file)`, errors, true);
  }

  onTestRunEnd(_modules, unhandledErrors) {
    for (const error of unhandledErrors) append('outside of any test', [error], true);
  }
}

function shown(text) {
  const line = stripVTControlCharacters(text).trimEnd();
  return line.length > MAX_COLUMNS ? `${line.slice(0, MAX_COLUMNS)} …` : line;
}

/** Every name comes first, then as much of each message as there are lines for. */
function print(maxLines, path) {
  if (!existsSync(path)) return;
  const all = readFileSync(path, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  for (const { title, lines } of all.filter(({ isRetried }) => isRetried).slice(0, MAX_RETRIED)) {
    console.log(shown(`passed only when repeated: ${title}${lines.length > 0 ? `: ${lines[0]}` : ''}`));
  }
  const failures = all.filter(({ isRetried }) => !isRetried);
  if (failures.length === 0) return;
  failures.sort((a, b) => Number(b.whole) - Number(a.whole));
  const named = failures.slice(0, MAX_TESTS);
  const messageLines = Math.max(1, Math.floor((maxLines - 2) / named.length) - 1);
  console.log(`\n-- failed tests: ${failures.length}`);
  for (const { title, lines } of named) {
    console.log(shown(title));
    for (const line of lines.slice(0, messageLines)) console.log(`    ${shown(line)}`);
  }
  if (failures.length > named.length) console.log(`and ${failures.length - named.length} more`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print(Number(process.argv[2]), process.argv[3]);
