/** Longest text of another node that is shown in a line about something else, in UTF-16 units. */
const SHOWN_CHARS_MAX = 200;

/** Without control characters: a message must not move the cursor of who reads it. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\u{FFFD}');
}

/** As much of it as fits into a line about something else. */
export function shortened(text: string): string {
  const shown = printable(text);
  return shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown;
}
