import type { ComponentChildren } from 'preact';
import type { Verdict } from '../api/contract.js';

function Picture({ children, size = 16 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

const paths = {
  ok: (
    <>
      <circle cx="8" cy="8" r="6.5" />
      <path d="m5.2 8.2 2 2 3.6-4.2" />
    </>
  ),
  degraded: (
    <>
      <path d="M8 2 1.6 13.2h12.8Z" />
      <path d="M8 6.5v3M8 11.4v.1" />
    </>
  ),
  failing: (
    <>
      <path d="M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3Z" />
      <path d="m6 6 4 4m0-4-4 4" />
    </>
  ),
  search: (
    <>
      <circle cx="7" cy="7" r="4.5" />
      <path d="m10.5 10.5 3.5 3.5" />
    </>
  ),
  play: <path d="M4.5 2.5v11l9-5.5Z" fill="currentColor" />,
  pause: <path d="M5 3v10M11 3v10" />,
  stop: <path d="M4 4h8v8H4Z" />,
  listen: (
    <>
      <path d="M2.5 10V8a5.5 5.5 0 0 1 11 0v2" />
      <path d="M2.5 9.5h2v4h-2ZM11.5 9.5h2v4h-2Z" />
    </>
  ),
  muted: (
    <>
      <path d="M2 6h2.5L8 3v10L4.5 10H2Z" />
      <path d="m10.5 6.2 3.6 3.6m0-3.6-3.6 3.6" />
    </>
  ),
  sound: (
    <>
      <path d="M2 6h2.5L8 3v10L4.5 10H2Z" />
      <path d="M10.5 5.8a3 3 0 0 1 0 4.4M12.4 4a5.6 5.6 0 0 1 0 8" />
    </>
  ),
  download: <path d="M8 2v8m0 0 3-3m-3 3L5 7M2.5 13.5h11" />,
  back: <path d="M10 3 5 8l5 5" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="3" />
      <path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M3 13l1.1-1.1M11.9 4.1 13 3" />
    </>
  ),
  moon: <path d="M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2Z" />,
  screen: (
    <>
      <path d="M1.8 2.8h12.4v8H1.8Z" />
      <path d="M5.5 13.5h5" />
    </>
  ),
  close: <path d="m4 4 8 8m0-8-8 8" />,
  up: <path d="M8 12.5v-9m0 0L4.5 7M8 3.5 11.5 7" />,
  down: <path d="M8 3.5v9m0 0L4.5 9M8 12.5 11.5 9" />,
  keyboard: (
    <>
      <path d="M1.5 4h13v8h-13Z" />
      <path d="M4 6.6h.1M6.7 6.6h.1M9.3 6.6h.1M12 6.6h.1M5 9.4h6" />
    </>
  ),
  copy: (
    <>
      <path d="M5.5 5.5h8v8h-8Z" />
      <path d="M10.5 5.5v-3h-8v8h3" />
    </>
  ),
};

export type IconName = keyof typeof paths;

export function Icon({ name, size }: { name: IconName; size?: number }) {
  return <Picture {...(size === undefined ? {} : { size })}>{paths[name]}</Picture>;
}

export function VerdictIcon({ verdict, size }: { verdict: Verdict; size?: number }) {
  return (
    <span class={`verdict-icon ${verdict}`}>
      <Icon name={verdict} {...(size === undefined ? {} : { size })} />
    </span>
  );
}
