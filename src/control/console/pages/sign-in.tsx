import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, api, getJson, messageOf } from '../api/client.js';
import type { SessionInfo } from '../api/contract.js';
import { keepToken, session } from '../api/session.js';

export function SignInPage({ message }: { message: string | undefined }) {
  const [value, setValue] = useState('');
  const [problem, setProblem] = useState(message);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = 'Sign in · trunkline';
    field.current?.focus();
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const typed = value.trim();
    if (typed === '' || busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      keepToken(typed);
      session.set({ status: 'signedIn', info: await getJson<SessionInfo>(api('session')) });
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 401 ? 'This token is not valid.' : messageOf(error));
      setValue('');
      field.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={(event) => void submit(event)}>
        <h1>
          <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <rect width="32" height="32" rx="7" />
            <path d="M6 12h4v8H6zM14 7h4v18h-4zM22 10h4v12h-4z" />
          </svg>
          trunkline
        </h1>
        <p class="muted">Sign in with an access token of this node.</p>
        <label>
          <span>Token</span>
          <input
            ref={field}
            class="input"
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={value}
            aria-invalid={problem !== undefined}
            aria-describedby="sign-in-problem"
            onInput={(event) => setValue(event.currentTarget.value)}
          />
        </label>
        <p id="sign-in-problem" class="failure" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" aria-disabled={busy || value.trim() === ''}>
          Sign in
        </button>
        <p class="hint">
          An operator makes tokens with <code>trunkline token create</code>. The token is kept until this tab is closed.
        </p>
      </form>
    </main>
  );
}
