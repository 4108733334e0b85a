/** `console` for guests: error and warn print at verbosity 0, log and info at 0, debug at 1, trace at 2. */

type Print = (verbosity: number, text: string) => void;

export interface GuestConsole {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  trace(...values: unknown[]): void;
}

export function guestConsole(print: Print): GuestConsole {
  const at =
    (verbosity: number) =>
    (...values: unknown[]): void =>
      print(verbosity, values.map(describe).join(' '));
  return { log: at(0), info: at(0), warn: at(0), error: at(0), debug: at(1), trace: at(2) };
}

/** A value as a person wants to read it; never throws. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) {
    const stack = value.stack?.trimEnd() ?? '';
    const headline = `${value.name}: ${value.message}`;
    return stack === '' ? headline : stack.startsWith(headline) ? stack : `${headline}\n${stack}`;
  }
  if (value === null || typeof value !== 'object') return String(value);
  try {
    return JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'bigint' ? `${inner}n` : inner,
    );
  } catch {
    return Object.prototype.toString.call(value);
  }
}
