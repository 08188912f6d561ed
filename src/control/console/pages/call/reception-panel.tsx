import type { ChannelReception } from '../../api/contract.js';
import { decimal, figure, figureName, NONE, percent } from '../../parts/format.js';
import { CHANNEL_NAMES } from '../../parts/meter.js';
import { Panel } from '../../parts/panel.js';

/** Names that are abbreviations, or whose unit the figure does not have. */
const NAMES: Readonly<Record<string, string>> = {
  driftPpm: 'Drift, ppm',
  mosLqMin: 'MOS-LQ, lowest',
  mosLqMean: 'MOS-LQ, mean',
};

/** The reception figures of each channel, side by side. */
export function ReceptionPanel({ reception }: { reception: readonly ChannelReception[] }) {
  if (reception.length === 0) return null;
  const names = [...new Set(reception.flatMap((one) => Object.keys(one)))].filter(
    (name) => name !== 'channel' && reception.some((one) => typeof one[name] === 'number'),
  );
  return (
    <Panel title="Reception">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reachable by keyboard. */}
      <section class="table-scroller" tabIndex={0} aria-label="Reception figures by channel">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Channel</th>
              {names.map((name) => (
                <th key={name} scope="col" class="number">
                  {NAMES[name] ?? figureName(name.replace(/^packets/, ''))}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {reception.map((one) => (
              <tr key={one.channel}>
                <th scope="row">
                  <span class={`key channel-${one.channel}`} /> {CHANNEL_NAMES[one.channel]}
                </th>
                {names.map((name) => (
                  <td key={name} class="number">
                    {textOf(name, one[name])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}

function textOf(name: string, value: unknown): string {
  if (typeof value !== 'number') return NONE;
  if (name === 'driftPpm') return decimal(value, 1);
  if (name.startsWith('mosLq')) return decimal(value, 2);
  return name.endsWith('Density') ? percent(value, 1) : figure(name, value);
}
