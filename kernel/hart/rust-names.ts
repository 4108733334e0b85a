/** Rust's legacy symbol names as their authors wrote them: most Hyperware guests are Rust, and their traps name functions this way. */

const ESCAPES: Readonly<Record<string, string>> = {
  SP: '@',
  BP: '*',
  RF: '&',
  LT: '<',
  GT: '>',
  LP: '(',
  RP: ')',
  C: ',',
};

/** `_ZN3std9panicking11begin_panic17h0123456789abcdefE` to `std::panicking::begin_panic`; any other name as it is. */
export function rustName(symbol: string): string {
  if (!symbol.startsWith('_ZN') || !symbol.endsWith('E')) return symbol;
  const parts: string[] = [];
  for (let at = 3; at < symbol.length - 1;) {
    const digits = /^[1-9]\d{0,3}/.exec(symbol.slice(at, at + 4))?.[0];
    if (digits === undefined) return symbol;
    const start = at + digits.length;
    at = start + Number(digits);
    if (at > symbol.length - 1) return symbol;
    parts.push(symbol.slice(start, at));
  }
  const last = parts.at(-1) ?? '';
  if (/^h[0-9a-f]{16}$/.test(last)) parts.pop();
  return parts.length === 0 ? symbol : parts.map(unescape).join('::');
}

function unescape(part: string): string {
  return part
    .replace(/^_\$/, '$')
    .replaceAll(
      /\$(?:u([0-9a-f]{1,6})|([A-Z]{1,2}))\$/g,
      (whole, code: string | undefined, name: string | undefined) => {
        if (code === undefined) return ESCAPES[name ?? ''] ?? whole;
        const point = Number.parseInt(code, 16);
        return point <= 0x10_ffff ? String.fromCodePoint(point) : whole;
      },
    )
    .replaceAll('..', '::');
}
