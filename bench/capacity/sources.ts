import type { Load, SourceName } from './load/plan.js';
import type { Baseline, SubjectKind, SubjectSettings } from './processes/messages.js';
import type { Generator, Subject } from './roles.js';

/**
 * A source of packets: what makes the load, what takes it, and which of them listens. Each is loaded only in the process that it is
 * in, and told where its `peer` listens, which is empty for the one that listens itself.
 */
export interface Source {
  readonly listens: 'generator' | 'subject';
  /** What there is to compare the node with. */
  readonly baselines: readonly Baseline[];
  readonly defaultTickMs: number;
  readonly generator: (load: Load, peer: string) => Promise<Generator>;
  readonly subject: (settings: SubjectSettings, peer: string) => Promise<Subject>;
}

type MakeGenerator = (load: Load, peer: string) => Generator;
type MakeSubject = (settings: SubjectSettings, peer: string) => Subject;

function source(
  listens: Source['listens'],
  defaultTickMs: number,
  generator: () => Promise<MakeGenerator>,
  subjects: Readonly<Partial<Record<SubjectKind, () => Promise<MakeSubject>>>>,
): Source {
  return {
    listens,
    defaultTickMs,
    baselines: (Object.keys(subjects) as SubjectKind[]).filter((kind) => kind !== 'node'),
    generator: async (load, peer) => (await generator())(load, peer),
    subject: async (settings, peer) => {
      const load = subjects[settings.kind];
      if (load === undefined) throw new Error(`There is no ${settings.kind} of this source.`);
      return (await load())(settings, peer);
    },
  };
}

export const SOURCES: Readonly<Record<SourceName, Source>> = {
  subscription: source('generator', 20, async () => (await import('./subscription/generator.js')).makeLoadGenerator, {
    node: async () => (await import('./subscription/node.js')).makeCaptureNode,
    bareWs: async () => (await import('./subscription/bare-ws.js')).makeBareClients,
    tutorial: async () => (await import('./subscription/tutorial-subject.js')).makeTutorial,
    plain: async () => (await import('./subscription/node.js')).makeCaptureNode,
  }),
  audiohook: source('subject', 200, async () => (await import('./audiohook/fleet.js')).makeFleet, {
    node: async () => (await import('./audiohook/node.js')).makeAudioHookNode,
    bareWs: async () => (await import('./audiohook/bare-ws.js')).makeBareServer,
    plain: async () => (await import('./audiohook/node.js')).makeAudioHookNode,
  }),
};
