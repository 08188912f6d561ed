import { createStore } from '../api/store.js';

/** `system` follows the browser's preference. */
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'trunkline.theme';
const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

/** What the page looks like now: it changes with the switch and with the browser's preference. */
export const scheme = createStore<'light' | 'dark'>('light');
export const theme = createStore<Theme>('system');

const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');

export function startTheme(): void {
  const kept = localStorage.getItem(KEY);
  prefersDark.addEventListener('change', apply);
  theme.set(THEMES.find((one) => one === kept) ?? 'system');
  apply();
}

export function setTheme(value: Theme): void {
  localStorage.setItem(KEY, value);
  theme.set(value);
  apply();
}

function apply(): void {
  const chosen = theme.get();
  document.documentElement.dataset['theme'] = chosen;
  colours.clear();
  scheme.set(chosen === 'system' ? (prefersDark.matches ? 'dark' : 'light') : chosen);
}

const colours = new Map<string, string>();

/** A colour of the style sheet for a canvas, which knows no variables: `colour('--speech')`. */
export function colour(name: string): string {
  const known = colours.get(name);
  if (known !== undefined) return known;
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  colours.set(name, value);
  return value;
}
