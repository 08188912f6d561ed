/**
 * Removes from free text what an audit or a log must not contain: tokens, secrets, telephone numbers, SIP and e-mail
 * addresses. It rather removes too much than too little; only UUIDs are kept, whose digits sometimes look like a
 * telephone number.
 */
const MAX_TEXT = 512;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

// No pattern has a repetition inside a repetition that can match the same text in two ways, so each is linear.
const RULES: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\b(?:bearer|basic)\s+[\w.~+/=-]+/gi, instead: '[token]' },
  { pattern: /\beyJ[\w-]+\.[\w.-]*/g, instead: '[token]' },
  {
    pattern:
      /\b(?:[a-z]+_)?(?:token|secret|password|passwd|pwd|api[_-]?key|authorization)["']?\s*[:=]\s*["']?[^\s"',;&]+/gi,
    instead: '[secret]',
  },
  { pattern: /\b(?:sips?|tel|callto):[^\s,;"'<>]+/gi, instead: '[address]' },
  { pattern: /[^\s@<>"',;:]+(?:@[^\s@<>"',;:]+)+/g, instead: '[address]' },
  { pattern: /[\w+/=-]{40,}/g, instead: '[token]' },
  { pattern: /\+?\(?\d(?:[\s()./-]{0,3}\d){6,}/g, instead: '[number]' },
];

/** The text without what must not be written, at most 512 characters long. */
export function redact(text: string): string {
  const cut = text.slice(0, MAX_TEXT);
  let result = '';
  let from = 0;
  for (const uuid of cut.matchAll(UUID)) {
    result += redactPart(cut.slice(from, uuid.index)) + uuid[0];
    from = uuid.index + uuid[0].length;
  }
  return (result + redactPart(cut.slice(from))).slice(0, MAX_TEXT);
}

/** Whether redact() would remove something. */
export function isSensitive(text: string): boolean {
  return text.length > MAX_TEXT || redact(text) !== text;
}

function redactPart(text: string): string {
  let result = text;
  for (const { pattern, instead } of RULES) result = result.replace(pattern, instead);
  return result;
}
