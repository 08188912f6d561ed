import { NOT_A_MEASUREMENT } from '../provenance.js';

/** A page that needs nothing else: its title, a warning unless the figures are a measurement, and `content`. */
export function page(title: string, isMeasurement: boolean, facts: string, content: string, style = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${facts}
${isMeasurement ? '' : `<p class="warning"><strong>${NOT_A_MEASUREMENT}</strong></p>`}
${content}
</main>
</body>
</html>
`;
}

/** What a page says first of what was measured, and where: names and values. */
export function factList(facts: readonly (readonly string[])[]): string {
  const items = facts.map(([name = '', value = '']) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`);
  return `<dl>${items.join('')}</dl>`;
}

/** Text as it may stand in a page, within an element or an attribute. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A list of colours, which are variables of STYLE, with their names. */
export function legend(entries: readonly (readonly [colour: string, name: string])[]): string {
  const items = entries.map(
    ([colour, name]) => `<li><i style="background: var(--${colour})"></i>${escapeHtml(name)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

/** A drawing with its caption. */
export function picture(caption: string, svg: string): string {
  return `<figure><figcaption>${escapeHtml(caption)}</figcaption>${svg}</figure>`;
}

/** Of every page of a benchmark, in a light and a dark form. */
const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --ground: #ffffff; --line: #dde2e9;
  --node: #1f6feb; --decoded: #14a098; --bare: #7b8494; --tutorial: #d1541f; --plain: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b5; --ground: #12161c; --line: #2c343f;
  --node: #58a6ff; --decoded: #3fc9bd; --bare: #99a3b3; --tutorial: #f0883e; --plain: #bc8cff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 20px; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
p { max-width: 68ch; margin: 4px 0 12px; color: var(--soft); }
code { font-size: 0.92em; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0; padding: 12px 0; border-block: 1px solid var(--line); }
dt { font-size: 0.8rem; color: var(--soft); }
dd { margin: 0; }
.warning { color: var(--ink); border: 1px solid var(--tutorial); border-radius: 6px; padding: 10px 14px; margin-top: 20px; max-width: none; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; list-style: none; margin: 0 0 10px; padding: 0; font-size: 0.92rem; }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: 8px; vertical-align: 4px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 20px 28px; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figcaption { font-weight: 600; margin-bottom: 4px; }
.wide { overflow-x: auto; }
.wide svg { min-width: 620px; }
.wide figcaption { position: absolute; clip-path: inset(50%); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
th, td { padding: 5px 14px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; font-weight: 400; color: var(--soft); }
thead th { font-weight: 600; }
th[scope=rowgroup] { font-weight: 600; color: var(--ink); padding-top: 20px; }
.note { font-size: 0.88rem; margin-top: 12px; }
`;
