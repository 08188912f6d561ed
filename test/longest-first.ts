import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest: downloads, processes that run for seconds, browsers. Vitest itself goes by the size of the files. */
const LONG = [
  'test/package/node-versions',
  'test/cli/visible',
  'test/e2e/audiohook-process',
  'test/chaos/',
  'test/bench/',
  'test/console/',
  'test/cli/',
  'test/e2e/',
  'test/package/tarball',
  'test/index/packed',
  'test/node/listeners',
  'test/control/api/audio',
];

/** Begins with the files that take longest, so that no worker has one of them left when the others have nothing to do. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((part) => moduleId.includes(part));
      return index < 0 ? LONG.length : index;
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
