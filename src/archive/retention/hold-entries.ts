import { lstat, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.js';
import type { ArchiveContext } from '../jobs.js';
import { AUDITED_FILE, auditedChanges, HOLDS_FILE, readHolds } from './legal-holds.js';

/**
 * Makes each change of a legal hold an entry of the audit, whichever process has made it, also while no node ran. After a
 * kill between the entry and the keeping of how far it has come, a change has two entries.
 */
export class HoldEntries {
  readonly #context: Pick<ArchiveContext, 'directory' | 'fileMode' | 'audit' | 'fault'>;
  #seen = '';
  #audited: number | undefined;
  #failure = '';

  constructor(context: Pick<ArchiveContext, 'directory' | 'fileMode' | 'audit' | 'fault'>) {
    this.#context = context;
  }

  /** Enters what has changed since the last call. */
  async look(): Promise<void> {
    const { directory, audit, fault } = this.#context;
    const status = await lstat(join(directory, HOLDS_FILE)).catch(() => undefined);
    const state = status === undefined ? '' : `${status.mtimeMs} ${status.size} ${status.ino}`;
    if (state === this.#seen) return;
    try {
      this.#audited ??= auditedChanges(directory);
      const { changes } = readHolds(directory);
      for (const { action, kind, value, by, reason } of changes.slice(this.#audited)) {
        const detail = [kind === 'tag' ? `tag ${value}` : '', reason ?? ''].filter((text) => text !== '').join(': ');
        const name = action === 'add' ? 'legal_hold_added' : 'legal_hold_removed';
        const fields = { actor: by, ...(detail === '' ? {} : { detail }) };
        await audit(name, fields, kind === 'interaction' ? value : undefined);
        this.#audited++;
        await this.#keep();
      }
      this.#seen = state;
      this.#failure = '';
    } catch (thrown) {
      const failure = messageOf(thrown);
      if (failure !== this.#failure) fault(failure);
      this.#failure = failure;
    }
  }

  get #path(): string {
    return join(this.#context.directory, AUDITED_FILE);
  }

  async #keep(): Promise<void> {
    const spare = `${this.#path}.new`;
    await rm(spare, { force: true });
    await writeFile(spare, `${this.#audited ?? 0}\n`, { mode: this.#context.fileMode, flag: 'wx' });
    await rename(spare, this.#path);
  }
}
