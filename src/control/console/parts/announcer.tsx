import { createStore, useStore } from '../api/store.js';
import { Icon } from './icons.js';

interface Announcement {
  readonly text: string;
  readonly kind: 'good' | 'bad';
}

const announcement = createStore<Announcement | undefined>(undefined);
const SHOWN_MS = 6_000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says what an action did: at the foot of the page, and to screen readers. A failure stays until it is closed. */
export function announce(text: string, kind: Announcement['kind'] = 'good'): void {
  clearTimeout(timer);
  announcement.set({ text, kind });
  if (kind === 'good') timer = setTimeout(() => announcement.set(undefined), SHOWN_MS);
}

export function Announcer() {
  const current = useStore(announcement);
  return (
    <div class="announcer" role="status" aria-live="polite">
      {current !== undefined && (
        <p class={`announcement ${current.kind}`}>
          <span>{current.text}</span>
          <button type="button" class="icon-button" aria-label="Close" onClick={() => announcement.set(undefined)}>
            <Icon name="close" />
          </button>
        </p>
      )}
    </div>
  );
}
