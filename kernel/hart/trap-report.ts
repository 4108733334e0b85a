/** Traps as text an operator can read: the fault first, then the guest's own call stack, innermost first. */
import { Trap } from '../process-host.ts';

/** Frames shown; deeper ones are counted. */
const FRAMES_MAX = 24;
/** Longest function name shown; they are the guest's to choose. */
const NAME_LENGTH_MAX = 160;

/**
 * `fault` is the host's own reason if it had one; `unwound` is what came out of the guest's stack.
 * @returns one line for the fault, then one per frame, `at name` with the guest's function names
 */
export function trapReport(fault: unknown, unwound: unknown = fault): string {
  return [describe(fault ?? unwound), ...frames(unwound)].join('\n');
}

function describe(fault: unknown): string {
  if (fault instanceof Trap) return fault.message;
  if (fault instanceof RangeError && /call stack/i.test(fault.message)) return 'stack overflow';
  if (fault instanceof Error) return fault.message;
  return String(fault);
}

function frames(unwound: unknown): string[] {
  if (!(unwound instanceof Error) || unwound.stack === undefined) return [];
  const names = unwound.stack
    .split('\n')
    .map((line) =>
      /^\s+at (.*?) ?\(?wasm:\/\/wasm\/([^):]+):wasm-function\[(\d+)\](?::(0x[0-9a-f]+))?\)?$/.exec(
        line,
      ),
    )
    .filter((match) => match !== null)
    .map(([, name, , index, offset]) => {
      const shown = (name ?? '') === '' ? `function ${index}` : printable(name!);
      return `  at ${shown}${offset === undefined ? '' : ` (${offset})`}`;
    });
  if (names.length <= FRAMES_MAX) return names;
  return [...names.slice(0, FRAMES_MAX), `  and ${names.length - FRAMES_MAX} more`];
}

/** Names come from the guest's name section: no control characters reach a terminal. */
function printable(name: string): string {
  return name.slice(0, NAME_LENGTH_MAX).replace(/[\p{Cc}\p{Cf}]/gu, '?');
}
