/** Numbers as people read them. All are text of few characters, so that a table of them does not jump. */

/** `1.5 MB`: binary steps under their everyday names. */
export function bytes(value: number): string {
  const steps = ['B', 'KB', 'MB', 'GB', 'TB'];
  let step = 0;
  let left = Math.max(0, value);
  while (left >= 1_023.5 && step < steps.length - 1) {
    left /= 1_024;
    step += 1;
  }
  return `${step === 0 ? Math.round(left) : short(left)} ${steps[step]}`;
}

/** A share of one core: `0.4 %`, `12 %`, `150 %`; undefined is a dash. */
export function percent(share: number | undefined): string {
  if (share === undefined) return '–';
  const value = Math.max(0, share * 100);
  if (value > 0 && value < 0.05) return '<0.1 %';
  return `${value < 9.95 ? value.toFixed(1).replace('0.0', '0') : Math.round(value)} %`;
}

/** Something in a second: `0`, `0.2`, `35`, `1.2k`; undefined is a dash. */
export function rate(perS: number | undefined): string {
  return perS === undefined ? '–' : count(perS);
}

/** `950`, `1.2k`, `3.4M`, `5.6G`. */
export function count(value: number): string {
  const steps = ['', 'k', 'M', 'G', 'T'];
  let step = 0;
  let left = Math.max(0, value);
  while (left >= 999.5 && step < steps.length - 1) {
    left /= 1_000;
    step += 1;
  }
  return `${short(left)}${steps[step]}`;
}

/** The two largest units: `26 ms`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`. */
export function duration(ms: number): string {
  const s = Math.floor(Math.max(0, ms) / 1_000);
  if (ms > 0 && s < 1) return `${Math.ceil(ms)} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3_600) return pair(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86_400) return pair(Math.floor(s / 3_600), 'h', Math.floor((s % 3_600) / 60), 'min');
  return pair(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3_600), 'h');
}

/** `09:41:07.123`, in the time zone of the browser. */
export function timeOfDay(unixMs: number): string {
  const at = new Date(unixMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

/** `1 process`, `2 processes`. */
export function plural(value: number, one: string, many: string): string {
  return `${value} ${value === 1 ? one : many}`;
}

function short(value: number): string {
  const digits = value < 9.95 && !Number.isInteger(value) ? 1 : 0;
  return value.toFixed(digits).replace(/\.0$/, '');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return `${large} ${largeUnit}${small === 0 ? '' : ` ${small} ${smallUnit}`}`;
}
