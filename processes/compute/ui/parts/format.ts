/** Numbers as people read them. */

const DECIMALS = 6;

/** `1.25` of millionths; at most `digits` behind the point, rounded down. */
export function hyper(amount: string | bigint, digits = DECIMALS): string {
  const text = String(amount).padStart(DECIMALS + 1, '0');
  const rest = text.slice(-DECIMALS).slice(0, digits).replace(/0+$/, '');
  const whole = text.slice(0, -DECIMALS).replace(/\B(?=(\d{3})+$)/g, ' ');
  return rest === '' ? whole : `${whole}.${rest}`;
}

/** `1.5 MB`. */
export function bytes(value: number): string {
  const steps = ['B', 'KB', 'MB', 'GB', 'TB'];
  let left = Math.max(0, value);
  let step = 0;
  while (left >= 1_023.5 && step < steps.length - 1) {
    left /= 1_024;
    step += 1;
  }
  return `${step === 0 || left >= 9.95 ? Math.round(left) : left.toFixed(1)} ${steps[step]}`;
}

/** `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1_000);
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`;
}

/** `just now`, `5 min ago`, then the day. */
export function ago(at: number, now: number): string {
  const s = Math.max(0, Math.floor((now - at) / 1_000));
  if (s < 10) return 'just now';
  if (s < 60) return `${s} s ago`;
  if (s < 3_600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ago`;
  return new Date(at).toLocaleDateString([], { day: 'numeric', month: 'short' });
}

export function percent(ppm: number): string {
  return `${Math.floor(Math.min(1_000_000, Math.max(0, ppm)) / 10_000)} %`;
}

/** `0x1234…cdef`. */
export function shortHash(hash: string): string {
  return hash.length > 14 ? `${hash.slice(0, 8)}…${hash.slice(-4)}` : hash;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${value} ${value === 1 ? one : many}`;
}
