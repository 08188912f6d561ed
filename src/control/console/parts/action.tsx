import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { messageOf } from '../api/client.js';
import type { Role } from '../api/contract.js';
import { refusalFor, session } from '../api/session.js';
import { useStore } from '../api/store.js';
import { announce } from './announcer.js';
import { Icon, type IconName } from './icons.js';

interface ActionProps {
  readonly icon?: IconName;
  readonly needs: Role;
  readonly children: ComponentChildren;
  /** Why it cannot be done now, by any role. */
  readonly unavailable?: string | undefined;
  readonly kind?: 'primary' | 'danger' | 'plain';
  /** What is said when it is done. */
  readonly done?: string;
  run(): unknown;
}

/**
 * A button for something that a role may do. Without the role it stays visible and focusable, and says why it does
 * nothing.
 */
export function Action({ icon, needs, children, unavailable, kind = 'plain', done, run }: ActionProps) {
  useStore(session);
  const [busy, setBusy] = useState(false);
  const reasonId = useId();
  const refusal = refusalFor(needs) ?? unavailable;
  const press = async () => {
    if (refusal !== undefined || busy) return;
    setBusy(true);
    try {
      await run();
      if (done !== undefined) announce(done);
    } catch (error) {
      announce(messageOf(error), 'bad');
    } finally {
      setBusy(false);
    }
  };
  return (
    <span class="action">
      <button
        type="button"
        class={`button ${kind}`}
        aria-disabled={refusal !== undefined || busy}
        {...(refusal === undefined ? {} : { 'aria-describedby': reasonId, title: refusal })}
        onClick={() => void press()}
      >
        {icon !== undefined && <Icon name={icon} />}
        <span>{children}</span>
      </button>
      {refusal !== undefined && (
        <span id={reasonId} class="visually-hidden">
          {refusal}
        </span>
      )}
    </span>
  );
}
