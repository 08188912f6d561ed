import { useEffect } from 'preact/hooks';
import { api, getJson, Unreachable } from '../api/client.js';
import { connection } from '../api/connection.js';
import type { SessionInfo } from '../api/contract.js';
import { followNode } from '../api/node-state.js';
import { startPolling } from '../api/poll.js';
import { session, signOut } from '../api/session.js';
import { useStore } from '../api/store.js';
import { CallPage } from '../pages/call/call.js';
import { ChartsPage } from '../pages/charts.js';
import { NodePage } from '../pages/node/node.js';
import { OverviewPage } from '../pages/overview.js';
import { RecordingPage } from '../pages/recordings/recording.js';
import { RecordingsPage } from '../pages/recordings/recordings.js';
import { SignInPage } from '../pages/sign-in.js';
import { Announcer } from '../parts/announcer.js';
import { Empty } from '../parts/panel.js';
import { type Route, route } from '../routes.js';
import { ConnectionBanner } from './connection-banner.js';
import { Header } from './header.js';
import { useShortcuts } from './shortcuts.js';

export function App() {
  const current = useStore(session);
  const { reachable } = useStore(connection);
  useEffect(() => {
    if (current.status !== 'unknown') return;
    const polling = startPolling(async () => {
      try {
        session.set({ status: 'signedIn', info: await getJson<SessionInfo>(api('session')) });
        polling.stop();
      } catch (error) {
        // Until the node answers it is asked again. A 401 has signed out already.
        if (error instanceof Unreachable || session.get().status !== 'unknown') return;
        signOut(error instanceof Error ? error.message : undefined);
      }
    }, 1_000);
    return () => polling.stop();
  }, [current.status]);

  if (current.status === 'unknown') {
    return <p class="starting">{reachable ? 'Connecting …' : 'The node does not answer. Trying again …'}</p>;
  }
  if (current.status === 'signedOut') return <SignInPage message={current.message} />;
  return <Console />;
}

const TITLES: Readonly<Record<Route['page'], string>> = {
  overview: 'Overview',
  charts: 'Charts',
  node: 'Node',
  call: 'Call',
  recordings: 'Recordings',
  recording: 'Recording',
  missing: 'Not found',
};

function Console() {
  const current = useStore(route);
  const { reachable } = useStore(connection);
  useEffect(followNode, []);
  const help = useShortcuts();
  const title = TITLES[current.page];
  useEffect(() => {
    document.title = `${current.id === '' ? title : `${title} ${current.id}`} · trunkline`;
  }, [title, current.id]);

  return (
    <>
      <button type="button" class="skip-link" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <Header current={current.page} onHelp={help.open} />
      <ConnectionBanner />
      <main id="main" tabIndex={-1} class={`page page-${current.page}${reachable ? '' : ' old'}`}>
        <PageOf current={current} />
      </main>
      <Announcer />
      {help.dialog}
    </>
  );
}

function PageOf({ current }: { current: Route }) {
  switch (current.page) {
    case 'overview':
      return <OverviewPage query={current.query} />;
    case 'charts':
      return <ChartsPage />;
    case 'node':
      return <NodePage />;
    case 'call':
      return <CallPage key={current.id} id={current.id} />;
    case 'recordings':
      return <RecordingsPage query={current.query} />;
    case 'recording':
      return <RecordingPage key={current.id} id={current.id} />;
    case 'missing':
      return <Empty>There is no such page. The overview has everything.</Empty>;
  }
}
