/** Traps as text an operator can read: the fault first, then the guest's own call stack, innermost first. */
import { Trap } from '../process-host.ts';
import { TRAMPOLINE_NAME } from './trampoline.ts';
import { rustName } from './rust-names.ts';

/** Frames shown; deeper ones are counted. */
const FRAMES_MAX = 24;
/** Longest function name shown; they are the guest's to choose. */
const NAME_LENGTH_MAX = 160;
/** Longest symbol that is looked at. */
const SYMBOL_LENGTH_MAX = 2_000;

/**
 * `fault` is the host's own reason if it had one; `unwound` is what came out of the guest's stack.
 * @returns one line for the fault, then one per frame, `at name` with the guest's function names
 */
export function trapReport(fault: unknown, unwound: unknown = fault): string {
  const outer = frames(unwound);
  // Where the guest's own code trapped under the host (realloc, a component inside another), the innermost frames are the fault's.
  const inner =
    fault !== unwound && (fault instanceof WebAssembly.RuntimeError || fault instanceof RangeError)
      ? frames(fault)
      : [];
  const all = [...inner, ...outer.filter((frame) => !inner.includes(frame))];
  const shown = all.slice(0, FRAMES_MAX);
  if (all.length > shown.length) shown.push(`  and ${all.length - shown.length} more`);
  return [describe(fault ?? unwound), ...shown].join('\n');
}

function describe(fault: unknown): string {
  if (fault instanceof Trap) return fault.message;
  if (fault instanceof RangeError && /call stack/i.test(fault.message)) return 'stack overflow';
  if (fault instanceof Error) return fault.message;
  return String(fault);
}

function frames(unwound: unknown): string[] {
  if (!(unwound instanceof Error) || unwound.stack === undefined) return [];
  return unwound.stack
    .split('\n')
    .map((line) =>
      /^\s+at (.*?) ?\(?wasm:\/\/wasm\/(.*):wasm-function\[(\d+)\](?::(0x[0-9a-f]+))?\)?$/.exec(
        line,
      ),
    )
    .filter((match) => match !== null)
    .filter(([, , module]) => moduleName(module) !== TRAMPOLINE_NAME)
    .map(([, name = '', module, index, offset]) => {
      // V8 names a function without a name after its module.
      const unnamed = name === '' || name === moduleName(module);
      const of = name === '' ? '' : ` of ${name}`;
      const shown = printable(unnamed ? `function ${index}${of}` : name);
      return `  at ${shown}${offset === undefined ? '' : ` (${offset})`}`;
    });
}

/** V8's address of a module is its name, if it has one, a dash and a hash. */
function moduleName(address = ''): string {
  return address.slice(0, Math.max(0, address.lastIndexOf('-')));
}

/** Names come from the guest's name section: no control characters reach a terminal. */
function printable(name: string): string {
  return rustName(name.slice(0, SYMBOL_LENGTH_MAX))
    .slice(0, NAME_LENGTH_MAX)
    .replace(/[\p{Cc}\p{Cf}]/gu, '?');
}
