/** Numbers and times as the page shows them. Everything has a fixed number of digits, so that columns stay still. */

export const NONE = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const fixed = [0, 1, 2].map(
  (digits) => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;
const dayTime = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', ...TIME });
const yearTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

type Amount = number | null | undefined;

export function count(value: Amount): string {
  return known(value) ? whole.format(value) : NONE;
}

export function decimal(value: Amount, digits: 0 | 1 | 2 = 1): string {
  return known(value) ? (fixed[digits]?.format(value) ?? NONE) : NONE;
}

/** A ratio of 0 to 1 as a percentage; what is not quite nothing is not shown as nothing. */
export function percent(ratio: Amount, digits: 0 | 1 | 2 = 2): string {
  if (!known(ratio)) return NONE;
  if (ratio === 0) return '0 %';
  const least = 10 ** -digits / 100;
  if (ratio < least) return `<${decimal(least * 100, digits)} %`;
  return `${decimal(ratio * 100, digits)} %`;
}

export function milliseconds(value: Amount): string {
  if (!known(value)) return NONE;
  return value > 0 && value < 10 ? `${decimal(value, 1)} ms` : `${count(value)} ms`;
}

export function decibels(value: Amount): string {
  return known(value) ? `${decimal(Math.max(value, -99), 0).replace('-', '−')} dB` : NONE;
}

/** 0:07, 12:34, 1:02:03 */
export function duration(seconds: Amount): string {
  if (!known(seconds)) return NONE;
  const total = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** 42 s, 12 min, 5 h 3 min, 4 d 2 h */
export function span(seconds: Amount): string {
  if (!known(seconds)) return NONE;
  const total = Math.max(0, Math.floor(seconds));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor(total / 60) % 60} min`;
  return `${Math.floor(total / 86_400)} d ${Math.floor(total / 3600) % 24} h`;
}

export function bytes(value: Amount): string {
  if (!known(value)) return NONE;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let amount = value;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit++;
  }
  return `${decimal(amount, unit === 0 || amount >= 100 ? 0 : 1)} ${units[unit]}`;
}

const MS_PER_SECOND = 1_000;
const DURATION = /(Ms|Seconds)$/;

/** `tokenAgeMs` as "Token age": what `figure()` writes has the unit. */
export function figureName(name: string): string {
  return words(name.replace(DURATION, ''));
}

/** A number that the node reports under this name, which says whether it is a duration. */
export function figure(name: string, value: Amount): string {
  const unit = DURATION.exec(name)?.[1];
  if (unit === undefined || !known(value)) return Number.isInteger(value) ? count(value) : decimal(value, 2);
  const ms = unit === 'Ms' ? value : value * MS_PER_SECOND;
  return ms < MS_PER_SECOND ? milliseconds(ms) : span(Math.round(ms / MS_PER_SECOND));
}

/** With the year only when it is another one. */
export function dateTime(iso: string | null | undefined): string {
  const sameYear = new Date(iso ?? Number.NaN).getFullYear() === new Date().getFullYear();
  return shown(iso, sameYear ? dayTime : yearTime);
}

export function clockTime(iso: string | null | undefined): string {
  return shown(iso, time);
}

function shown(iso: string | null | undefined, format: Intl.DateTimeFormat): string {
  const date = new Date(iso ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? NONE : format.format(date);
}

function known(value: Amount): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** `outOfOrder` and `disk-space` as "Out of order" and "Disk space". */
export function words(name: string): string {
  const text = name
    .replace(/[-_.]+/g, ' ')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
