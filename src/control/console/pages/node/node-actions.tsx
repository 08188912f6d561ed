import { useState } from 'preact/hooks';
import { api, post, put } from '../../api/client.js';
import { Action } from '../../parts/action.js';
import { Dialog } from '../../parts/dialog.js';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

export function NodeActions({ logLevel }: { logLevel: string }) {
  const [asking, setAsking] = useState<'drain' | 'log' | undefined>();
  const [level, setLevel] = useState(logLevel);
  const close = () => setAsking(undefined);
  return (
    <div class="actions">
      <Action
        needs="operator"
        done="Keys, tokens and certificates were read again."
        run={() => post(api('node', 'reload'))}
      >
        Reload keys
      </Action>
      <Action
        needs="operator"
        run={() => {
          setLevel(logLevel);
          setAsking('log');
        }}
      >
        Log level
      </Action>
      <Action needs="operator" kind="danger" run={() => setAsking('drain')}>
        Drain
      </Action>
      {asking === 'log' && (
        <Dialog title="Log level" onClose={close}>
          <label class="field">
            <span>Level until the next restart</span>
            <select class="input" value={level} onChange={(event) => setLevel(event.currentTarget.value)}>
              {LEVELS.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
          <Answers close={close}>
            <Action
              needs="operator"
              kind="primary"
              done={`The log level is ${level}.`}
              run={() => put(api('node', 'log-level'), { level }).then(close)}
            >
              Set
            </Action>
          </Answers>
        </Dialog>
      )}
      {asking === 'drain' && (
        <Dialog title="Drain this node?" onClose={close}>
          <p>It takes no new calls, waits for those that run until its deadline, and stops. This cannot be undone.</p>
          <Answers close={close}>
            <Action
              needs="operator"
              kind="danger"
              done="The node is draining."
              run={() => post(api('node', 'drain')).then(close)}
            >
              Drain
            </Action>
          </Answers>
        </Dialog>
      )}
    </div>
  );
}

function Answers({ close, children }: { close(): void; children: preact.ComponentChildren }) {
  return (
    <div class="dialog-answers">
      <button type="button" class="button" onClick={close}>
        Cancel
      </button>
      {children}
    </div>
  );
}
