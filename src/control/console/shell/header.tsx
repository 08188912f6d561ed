import { connection } from '../api/connection.js';
import { nodeState } from '../api/node-state.js';
import { session, signOut } from '../api/session.js';
import { useStore } from '../api/store.js';
import { Icon, VerdictIcon } from '../parts/icons.js';
import { setTheme, type Theme, theme } from '../parts/theme.js';
import type { Route } from '../routes.js';

const PAGES = [
  { href: '#/', name: 'Overview', pages: ['overview', 'call'] },
  { href: '#/charts', name: 'Charts', pages: ['charts'] },
  { href: '#/node', name: 'Node', pages: ['node'] },
  { href: '#/recordings', name: 'Recordings', pages: ['recordings', 'recording'] },
] as const;

export const VERDICT_WORDS = { ok: 'Healthy', degraded: 'Degraded', failing: 'Failing' } as const;

export function Header({ current, onHelp }: { current: Route['page']; onHelp(): void }) {
  return (
    <header class="header">
      <a class="brand" href="#/">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <rect width="32" height="32" rx="7" />
          <path d="M6 12h4v8H6zM14 7h4v18h-4zM22 10h4v12h-4z" />
        </svg>
        <span>trunkline</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map(({ href, name, pages }) => {
          const here = (pages as readonly string[]).includes(current);
          return (
            <a key={href} href={href} {...(here ? { 'aria-current': 'page' as const } : {})}>
              {name}
            </a>
          );
        })}
      </nav>
      <div class="header-end">
        <HealthPill />
        <ThemeSwitch />
        <button
          type="button"
          class="icon-button wide-only"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={onHelp}
        >
          <Icon name="keyboard" />
        </button>
        <SessionMenu />
      </div>
    </header>
  );
}

/** The verdict on every page; the overview says why. */
function HealthPill() {
  const { info } = useStore(nodeState);
  const { reachable } = useStore(connection);
  if (info === undefined) return null;
  if (!reachable) {
    return (
      <a class="pill failing" href="#/" title="The node does not answer">
        <VerdictIcon verdict="failing" size={14} />
        No answer
      </a>
    );
  }
  const reasons = info.checks.filter(({ status }) => status !== 'ok').map(({ name }) => name);
  return (
    <a class={`pill ${info.status}`} href="#/" title={reasons.length === 0 ? 'Every check passes' : reasons.join(', ')}>
      <VerdictIcon verdict={info.status} size={14} />
      {VERDICT_WORDS[info.status]}
    </a>
  );
}

const THEMES = [
  { value: 'system', name: 'As the system', icon: 'screen' },
  { value: 'light', name: 'Light', icon: 'sun' },
  { value: 'dark', name: 'Dark', icon: 'moon' },
] as const satisfies readonly { value: Theme; name: string; icon: string }[];

function ThemeSwitch() {
  const chosen = useStore(theme);
  return (
    <fieldset class="theme-switch">
      <legend class="visually-hidden">Colours</legend>
      {THEMES.map(({ value, name, icon }) => (
        <label key={value} title={name}>
          <input
            type="radio"
            name="theme"
            value={value}
            checked={chosen === value}
            aria-label={name}
            onChange={() => setTheme(value)}
          />
          <Icon name={icon} size={14} />
        </label>
      ))}
    </fieldset>
  );
}

function SessionMenu() {
  const current = useStore(session);
  if (current.status !== 'signedIn') return null;
  const { name, role, tokensRequired } = current.info;
  if (!tokensRequired) {
    return (
      <span class="session" title="No tokens are configured: only this machine reaches the console.">
        <span class="session-role">{role}</span>
      </span>
    );
  }
  return (
    <span class="session">
      <span class="session-name">{name}</span>
      <span class="session-role">{role}</span>
      <button type="button" class="button small" onClick={() => signOut()}>
        Sign out
      </button>
    </span>
  );
}
