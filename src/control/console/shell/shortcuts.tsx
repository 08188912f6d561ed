import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Dialog } from '../parts/dialog.js';
import { go, route } from '../routes.js';

const KEYS = [
  ['/', 'Filter the list'],
  ['↑ ↓', 'Move in the list'],
  ['Page up, Page down, Home, End', 'Move further in the list'],
  ['Enter', 'Open the call or recording'],
  ['Space', 'Play or pause a recording'],
  ['Escape', 'Clear the filter, leave a call or recording'],
  ['1 2 3 4', 'Overview, charts, node, recordings'],
  ['?', 'This help'],
] as const;

const PAGES = ['#/', '#/charts', '#/node', '#/recordings'];

interface Help {
  readonly dialog: ComponentChildren;
  open(): void;
}

/** The keys that work on every page; the lists have keys of their own. */
export function useShortcuts(): Help {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector('dialog[open]') !== null) return;
      const done = isTyping(event.target) ? false : act(event, () => setShown(true));
      if (done) event.preventDefault();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
  const dialog = shown && (
    <Dialog title="Keyboard shortcuts" onClose={() => setShown(false)}>
      <dl class="keys">
        {KEYS.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" class="button primary">
          Close
        </button>
      </form>
    </Dialog>
  );
  return { dialog, open: () => setShown(true) };
}

function act({ key, target }: KeyboardEvent, help: () => void): boolean {
  const page = PAGES[Number(key) - 1];
  if (page !== undefined) {
    go(page);
    return true;
  }
  if (key === '?') {
    help();
    return true;
  }
  if (key === '/') {
    const filter = document.querySelector<HTMLInputElement>('[data-filter]');
    filter?.focus();
    filter?.select();
    return filter !== null;
  }
  if (key === 'ArrowDown' || key === 'ArrowUp') return isNothing(target) && moveInList(key);
  if (key !== 'Escape') return false;
  const { page: current } = route.get();
  if (current === 'call') go('#/');
  if (current === 'recording') go('#/recordings');
  return current === 'call' || current === 'recording';
}

/** Gives the page's list the focus and the key. */
function moveInList(key: string): boolean {
  const list = document.querySelector<HTMLElement>('[data-list]');
  if (list === null) return false;
  list.focus();
  list.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  return true;
}

/** Nothing has the focus, as after the page has been loaded. */
function isNothing(target: EventTarget | null): boolean {
  return target === document.body || (target instanceof HTMLElement && target.id === 'main');
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['range', 'checkbox', 'radio', 'button'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}
