import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { publicNames, undocumentedMembers, unexportedMentions } from '../support/public-types.js';
import { ROOT } from '../support/source-tree.js';

/** What an embedder fills in: each of their members says its unit, default and range. */
const OPTIONS = [
  ...['NodeOptions', 'CreateNodeOptions', 'NodeEngineOptions', 'StartOptions', 'WaitOptions', 'NodeSettings'],
  ...['GenesysSubscriptionOptions', 'AudioHookOptions', 'AudioHookServerOptions', 'AudioHookLimits', 'SessionTiming'],
  ...['RecorderOptions', 'AuditSinkOptions', 'QueueOptions', 'ChunkOptions', 'FrameOptions', 'MonitorOptions'],
  ...['AudioEngineOptions', 'CreateEngineOptions', 'EngineOptions', 'PushFormat', 'PushedPacket', 'AudioHookKey'],
  ...['ControlOptions', 'ControlLimits'],
];

describe('the public types', () => {
  it('are complete: every type that an exported declaration mentions is exported', () => {
    expect(unexportedMentions().map(({ by, name, file }) => `${by} mentions ${name} of ${file}`)).toEqual([]);
  }, 30_000);

  it('have the entry points', () => {
    const names = publicNames();
    for (const name of [
      'createNode',
      'createEngine',
      'CaptureNode',
      'AudioHookNode',
      'genesysSubscription',
      'audioHook',
    ]) {
      expect(names.get(name), name).toMatch(/.{20,}/);
    }
  }, 30_000);

  it('document every option', () => {
    expect(undocumentedMembers(OPTIONS)).toEqual([]);
  }, 30_000);

  it('are looked through in classes, functions, intersections and type arguments, but not in private members', () => {
    const folder = mkdtempSync(join(ROOT, 'dist/public-types-'));
    try {
      writeFileSync(
        join(folder, 'parts.d.ts'),
        `export interface Shown {} export interface Base {} export interface Hidden {} export interface Argument {}
         export interface Member {} export interface Secret {} export declare const value: number;`,
      );
      writeFileSync(
        join(folder, 'index.d.ts'),
        `import type { Argument, Base, Hidden, Member, Secret, Shown, value } from './parts.js';
         export type { Shown } from './parts.js';
         export declare class One extends Map<string, Argument> { #own; private secret: Secret; member(): Member; }
         export interface Two extends Base { readonly shown: Shown }
         export declare function three<Type>(one: Type & Hidden): typeof value;`,
      );
      const found = unexportedMentions(join(folder, 'index.d.ts')).map(({ by, name }) => `${by} ${name}`);
      expect(found.sort()).toEqual(['One Argument', 'One Member', 'Two Base', 'three Hidden', 'three value']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 30_000);
});
