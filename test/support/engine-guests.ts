/** Components for the engine's tests, from text. Not part of the product. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { componentEmbed, componentNew, parse } from '@bytecodealliance/jco-transpile/wasm-tools';

const WIT = join(import.meta.dirname, '..', '..', 'wit');
export const STANDARD = 'hyperware:process/standard@1.0.0';

/** Core types of the functions of `standard`, lowered: parameters, then the result. */
const I32 = (count: number): string => (count === 0 ? '' : `(param${' i32'.repeat(count)})`);
const SIGNATURES: Readonly<Record<string, string>> = {
  'print-to-terminal': I32(3),
  our: I32(1),
  'get-on-exit': I32(1),
  'set-on-exit': I32(3),
  'get-state': I32(1),
  'set-state': I32(2),
  'clear-state': '',
  spawn: I32(14),
  'save-capabilities': I32(2),
  'drop-capabilities': I32(2),
  'our-capabilities': I32(1),
  receive: I32(1),
  'has-blob': '(result i32)',
  'get-blob': I32(1),
  'last-blob': I32(1),
  'send-request': I32(1),
  'send-requests': I32(2),
  'send-response': I32(14),
  'send-and-await-response': I32(2),
};

/** Every function of the current generation. */
export const FUNCTIONS: readonly string[] = Object.keys(SIGNATURES);

/** How many core parameters a function takes, all of them i32. */
export function parameterCount(name: string): number {
  return SIGNATURES[name]?.match(/i32/g)?.length ?? 0;
}

/** An allocator that only moves on, from 1 MiB, and grows memory; the guest's own records live below. */
export const REALLOC = `
  (global $next (mut i32) (i32.const 0x100000))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32) (local $pages i32)
    (local.set $at
      (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
               (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.set $pages (i32.sub (i32.add (i32.shr_u (global.get $next) (i32.const 16)) (i32.const 1)) (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))))
    (local.get $at))`;

/** What a guest of `coreGuest` is made of; each part is module-level text. */
export interface GuestParts {
  /** Functions of `standard` to import, as `$receive` and so on. */
  readonly imports?: readonly string[];
  /** The body of `init`, with two i32 parameters. */
  readonly init: string;
  /** Definitions before `init`. */
  readonly more?: string;
  /** The exported `cabi_realloc`, where it is not to be an honest one. */
  readonly realloc?: string;
  /** The memory's limits, in pages. */
  readonly memory?: string;
}

/** Text of a core module of a process. */
export function guestText(parts: GuestParts): string {
  const imports = (parts.imports ?? []).map(
    (name) => `(import "${STANDARD}" "${name}" (func $${name} ${SIGNATURES[name]}))`,
  );
  return `(module
    ${imports.join('\n')}
    (memory (export "memory") ${parts.memory ?? '17'})
    ${parts.realloc ?? REALLOC}
    ${parts.more ?? ''}
    (func $init (export "init") (param $our i32) (param $our-length i32) ${parts.init}))`;
}

/** A component of the current generation from a core module's parts. */
export async function guest(parts: GuestParts): Promise<Uint8Array> {
  return ofCore(guestText(parts));
}

/** A component of the current generation from a core module's text. */
export async function ofCore(
  text: string,
  options: {
    readonly encoding?: 'utf8' | 'utf16';
    readonly witSource?: string;
    readonly world?: string;
  } = {},
): Promise<Uint8Array> {
  const witSource = options.witSource ?? (await readFile(join(WIT, 'process-v1.wit'), 'utf8'));
  const embedded = await componentEmbed({
    binary: await parse(text),
    witSource,
    world: options.world ?? 'process-v1',
    stringEncoding: options.encoding ?? 'utf8',
  });
  return componentNew(embedded, []);
}

/** Component text to bytes, as it is. */
export function ofText(text: string): Promise<Uint8Array> {
  return parse(text);
}

/** WAT that answers each request with the body at $at of $length and starts over; needs receive and send-response. */
export function answer(at: string, length: string): string {
  return `(call $send-response (i32.const 0) ${at} ${length} ${'(i32.const 0) '.repeat(11)})`;
}

/** An `init` that answers every request with its own body. */
const ECHO_INIT = `
  (loop $next-message
    (global.set $next (i32.const 0x100000))
    (call $receive (i32.const 1024))
    (br_if $next-message (i32.load8_u (i32.const 1024)))
    (br_if $next-message (i32.load8_u (i32.const 1064)))
    ${answer('(i32.load (i32.const 1096))', '(i32.load (i32.const 1100))')}
    (br $next-message))`;

/** The honest neighbour. */
export function echo(): Promise<Uint8Array> {
  return guest({ imports: ['receive', 'send-response'], init: ECHO_INIT });
}
