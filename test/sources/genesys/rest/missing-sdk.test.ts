import { expect, test } from 'vitest';
import { TrunklineProcess } from '../../../support/cli/trunkline-process.js';

/** Lets Node find nothing under the name of the SDK, as after `npm install --omit=optional`. */
const WITHOUT_SDK = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  const hooks = \`export async function resolve(specifier, context, next) {
    if (!specifier.startsWith('purecloud-platform-client-v2')) return next(specifier, context);
    const error = new Error("Cannot find package 'purecloud-platform-client-v2'");
    throw Object.assign(error, { code: 'ERR_MODULE_NOT_FOUND' });
  }\`;
  register('data:text/javascript,' + encodeURIComponent(hooks));
`)}`;

test('capture without the SDK ends at once and says what to install', async () => {
  const args = ['capture', '--json', '--no-record', '--interactions', 'a'];
  const child = new TrunklineProcess(args, undefined, ['--import', WITHOUT_SDK]);
  expect(await child.exited()).toBe(2);
  expect(child.lastJson()).toMatchObject({
    error: { code: 'CONFIG_INVALID', message: expect.stringContaining('npm install purecloud-platform-client-v2') },
  });
});
