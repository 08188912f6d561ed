import { useEffect, useMemo, useState } from 'preact/hooks';
import { ApiError, api, post } from '../../api/client.js';
import type { InteractionDetail } from '../../api/contract.js';
import { usePolled } from '../../api/poll.js';
import { Listener } from '../../audio/listener.js';
import { Action } from '../../parts/action.js';
import { Dialog } from '../../parts/dialog.js';
import { count, dateTime, decimal, duration, milliseconds, NONE, percent, words } from '../../parts/format.js';
import { Icon } from '../../parts/icons.js';
import { Empty, Failure, Figures, Panel } from '../../parts/panel.js';
import { Timeline } from '../../parts/timeline.js';
import { oneWayText, StateBadge } from '../streams/columns.js';
import { LevelStrip } from './level-strip.js';
import { ListenPanel } from './listen-panel.js';
import { ReceptionPanel } from './reception-panel.js';

/** Twice as often as lists: the level strip has a bar from each answer. */
const INTERVAL_MS = 500;

export function CallPage({ id }: { id: string }) {
  const { data: call, error, refresh } = usePolled<InteractionDetail>(api('interactions', id), INTERVAL_MS);
  const listener = useMemo(() => new Listener(id), [id]);
  useEffect(() => () => listener.stop(), [listener]);
  const gone = error instanceof ApiError && error.status === 404;
  return (
    <>
      <div class="page-head call-head">
        <a class="back" href="#/" aria-label="Back to the overview">
          <Icon name="back" />
        </a>
        <h1 class="id" title={id}>
          {id}
        </h1>
        {call !== undefined && <StateBadge state={call.state} />}
        {call !== undefined && <CallActions call={call} onDone={refresh} />}
      </div>
      {gone && (
        <Empty>
          {call === undefined
            ? 'This call is not known here, or no longer.'
            : 'This call has ended; the node has forgotten it.'}{' '}
          <a href={`#/recordings?q=${encodeURIComponent(id)}`}>Look for its recording</a>
        </Empty>
      )}
      {error !== undefined && !gone && <Failure error={error} />}
      {call !== undefined && <CallContent call={call} listener={listener} />}
    </>
  );
}

function CallContent({ call, listener }: { call: InteractionDetail; listener: Listener }) {
  const spans = call.spans ?? [];
  const endMs = Math.max(1, ...spans.map(({ startMs, endMs }) => endMs ?? startMs));
  const startMs = spans.length === 0 ? 0 : Math.min(...spans.map((span) => span.startMs));
  const oneWay = oneWayText(call);
  return (
    <>
      {oneWay !== undefined && <p class="one-way-line">{oneWay}</p>}
      <Figures
        figures={[
          { name: call.state === 'ended' ? 'Length' : 'Age', value: duration(call.ageSeconds) },
          { name: 'Started', value: dateTime(call.startedAt) },
          ...(call.state === 'ended' ? [{ name: 'End reason', value: words(call.endReason ?? NONE) }] : []),
          { name: 'Source', value: call.source ?? NONE },
          ...attributesOf(call),
          {
            name: 'Codec',
            value: formatOf(call),
          },
          { name: 'Loss', value: percent(call.lossRatio) },
          { name: 'Late', value: percent(call.lateRatio) },
          {
            name: 'Repaired',
            value: call.packetsRepaired === undefined ? NONE : count(call.packetsRepaired),
            note: 'Late packets that are recorded in their place all the same',
          },
          { name: 'Jitter', value: milliseconds(call.jitterMs), note: 'Interarrival jitter, RFC 3550' },
          {
            name: 'Playout delay',
            value: milliseconds(call.playoutDelayMs),
            note: 'How long a packet is held before it is released',
          },
          {
            name: 'Latency',
            value: milliseconds(call.latencyMs),
            note: 'From the arrival of a packet to the delivery of its frame',
          },
        ]}
      />
      <div class="call-columns">
        <Panel title="Level" class="level-panel">
          <LevelStrip call={call} listener={listener} />
        </Panel>
        <ListenPanel call={call} listener={listener} />
      </div>
      <Panel
        title="Time line"
        aside={call.spansComplete === false ? <span class="muted">the newest spans</span> : undefined}
      >
        {spans.length === 0 ? (
          <Empty>No audio has arrived yet.</Empty>
        ) : (
          <Timeline spans={spans} channels={call.channels ?? 1} startMs={startMs} endMs={endMs} />
        )}
      </Panel>
      <ReceptionPanel reception={call.reception ?? []} />
    </>
  );
}

/** One figure for each that is known. */
function attributesOf({ attributes = {} }: InteractionDetail): { name: string; value: string }[] {
  const { queue, user, direction, division, tags = [], identities = {} } = attributes;
  const people = [identities.ani, identities.dnis, identities.name].filter((text) => text !== undefined);
  const known: [string, string | undefined][] = [
    ['Queue', queue],
    ['Agent', user],
    ['Direction', direction],
    ['Division', division],
    ['Tags', tags.join(', ')],
    ['Caller', people.join(', ')],
  ];
  return known.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [{ name, value }]));
}

function formatOf({ codec, sampleRate }: InteractionDetail): string {
  if (codec === null || sampleRate === null) return NONE;
  return `${codec}, ${decimal(sampleRate / 1000, sampleRate % 1000 === 0 ? 0 : 1)} kHz`;
}

function CallActions({ call, onDone }: { call: InteractionDetail; onDone(): void }) {
  const [ending, setEnding] = useState(false);
  const unavailable = call.state === 'ended' ? 'The call has ended.' : undefined;
  const path = (verb: string) => `${api('interactions', call.id)}/${verb}`;
  return (
    <div class="actions">
      {call.paused ? (
        <Action
          icon="play"
          needs="operator"
          kind="primary"
          unavailable={unavailable}
          done="The call is captured again."
          run={() => post(path('resume')).then(onDone)}
        >
          Resume
        </Action>
      ) : (
        <Action
          icon="pause"
          needs="operator"
          unavailable={unavailable}
          done="The call is paused: nothing of it is decoded, delivered or recorded."
          run={() => post(path('pause')).then(onDone)}
        >
          Pause
        </Action>
      )}
      <Action icon="stop" needs="operator" kind="danger" unavailable={unavailable} run={() => setEnding(true)}>
        End
      </Action>
      {ending && (
        <Dialog title="End the capture of this call?" onClose={() => setEnding(false)}>
          <p>The call itself goes on. Its recording ends here, and nothing more of it is captured.</p>
          <div class="dialog-answers">
            <button type="button" class="button" onClick={() => setEnding(false)}>
              Cancel
            </button>
            <Action
              needs="operator"
              kind="danger"
              done="The capture has ended."
              run={() =>
                post(path('end')).then(() => {
                  setEnding(false);
                  onDone();
                })
              }
            >
              End the capture
            </Action>
          </div>
        </Dialog>
      )}
    </div>
  );
}
