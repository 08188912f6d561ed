import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { messageOf } from '../api/client.js';

interface PanelProps {
  readonly title: string;
  /** Beside the title, at the right. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly class?: string;
}

export function Panel({ title, aside, children, class: more = '' }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${more}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div class="panel-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

/** What a list shows when it has nothing to show. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Failure({ error }: { error: unknown }) {
  return (
    <p class="failure" role="alert">
      {messageOf(error)}
    </p>
  );
}

export interface Figure {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly note?: string;
}

export function Figures({ figures }: { figures: readonly Figure[] }) {
  return (
    <dl class="figures">
      {figures.map(({ name, value, note }) => (
        <div key={name}>
          <dt {...(note === undefined ? {} : { title: note })}>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
