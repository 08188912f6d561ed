import { createStore } from './api/store.js';

/** The page's addresses are behind the `#`: the server has one file to serve. */
export interface Route {
  readonly page: 'overview' | 'charts' | 'node' | 'call' | 'recordings' | 'recording' | 'missing';
  readonly id: string;
  readonly query: URLSearchParams;
}

const PAGES: Readonly<Record<string, { one?: Route['page']; all?: Route['page'] }>> = {
  '': { all: 'overview' },
  charts: { all: 'charts' },
  node: { all: 'node' },
  calls: { one: 'call' },
  recordings: { all: 'recordings', one: 'recording' },
};

export function routeOf(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [first = '', second] = path.split('/');
  const query = new URLSearchParams(search);
  const pages = PAGES[first] ?? {};
  if (second === undefined || second === '') return { page: pages.all ?? 'missing', id: '', query };
  return { page: pages.one ?? 'missing', id: decoded(second), query };
}

export const route = createStore<Route>(routeOf(location.hash));

window.addEventListener('hashchange', () => route.set(routeOf(location.hash)));

export const callHref = (id: string): string => `#/calls/${encodeURIComponent(id)}`;
export const recordingHref = (id: string): string => `#/recordings/${encodeURIComponent(id)}`;

export function go(href: string): void {
  location.hash = href.replace(/^#/, '');
}

/** Puts a list's filter into the address, so that "back" finds it again. */
export function replaceQuery(query: Readonly<Record<string, string>>): void {
  const search = new URLSearchParams(
    Object.entries(query).filter(([name, value]) => value !== '' || name === 'state'),
  ).toString();
  const [path = ''] = location.hash.split('?', 1);
  window.history.replaceState(null, '', `${path === '' ? '#/' : path}${search === '' ? '' : `?${search}`}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
