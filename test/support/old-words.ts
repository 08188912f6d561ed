/**
 * Words that the project used before it took the standard ones, and phrases too old-fashioned to be read at first
 * sight. None of them may come back. A word is found as a word of its own and as a part of a camel-case name.
 */
const OLD_WORDS = [
  ...['roster', 'heard', 'lane', 'intake', 'horizon', 'hole', 'probation', 'trial', 'weigh', 'desk', 'piece'],
  ...['forsaken', 'farewell', 'excuse', 'surroundings', 'cast', 'switchboard', 'mischief', 'misbehaviour'],
  ...['misbehaving', 'trouble', 'troubled', 'fate', 'room', 'wish', 'slab', 'outbox', 'nought', 'books'],
  ...['anew', 'whoever', 'lest', 'amid', 'beforehand', 'therein', 'thereby'],
];

const OLD_PHRASES = [
  ...['whatever comes', 'let go', 'lets go', 'what came of it', 'nobody asked for', 'stands in for', 'for good'],
  ...['by and by', 'told of', 'tells of', 'plain frames', 'on trial'],
];

/** Names that are wrong as they are, although their words may be right elsewhere. */
const OLD_NAMES = [
  /\bMediaLane\b|\bPlainFrames?\b|\bInterests\b|\bPieces\b|\bLead\b|\bHoleSplitter\b|\bforGood\b|\bWishFile\b/,
  // Interfaces for what a part needs are called …Dependencies.
  /\b[A-Z]\w+Host\b|\bEnvironment\b/,
  // Counters of packets that the longer playout delay recovered.
  /\b\w+Saved\b/,
  /\.#?say\(/,
  // The time that a packet waits is the playout delay.
  /\b\w*[hH]old(?:Us|Ms|Wide\w*|wide)\b|\bwideHold\w*|\b(?:the|wide|longer) hold\b/,
];

/** Names that users type, which keep working. */
// Rust's conversion of pointers is `.cast()`.
const KEPT =
  /\.cast\b|\/books\b|\\\/books\b|--books\b|\bbooks\.json\b|--mischief\b|--hold(?:-wide)?-ms|['"`]?\bhold(?:Wide)?Ms\b['"`?]?(?=[:,\]} `]|$)|\b(?:books|mischief)\??:|, mischief,|\?\? mischief\b|\bHOLD(?:_WIDE)?_MS\b/g;

const patterns = [...OLD_WORDS.map(wordPattern), ...OLD_PHRASES.map((phrase) => phrasePattern(phrase)), ...OLD_NAMES];

/** Every old word in a text, with the number of its line. */
export function oldWordsIn(text: string): { line: number; word: string }[] {
  return text.split('\n').flatMap((written, at) => {
    const line = written.replace(KEPT, '');
    return patterns.flatMap((pattern) => {
      const word = pattern.exec(line)?.[0];
      return word === undefined ? [] : [{ line: at + 1, word }];
    });
  });
}

/** `hole` is found in `hole`, `holes`, `aHole`, `holeStart` and `HOLE`, not in `whole`. */
function wordPattern(word: string): RegExp {
  const capital = `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
  const plural = word.endsWith('s') ? '' : '(?:e?s)?';
  return new RegExp(
    `(?<![A-Za-z])${word}${plural}(?![a-z])|(?<![A-Z])${capital}${plural}(?![a-z])|(?<![A-Za-z])${word.toUpperCase()}S?(?![A-Za-z])`,
  );
}

function phrasePattern(phrase: string): RegExp {
  return new RegExp(`\\b${phrase}\\b`, 'i');
}
