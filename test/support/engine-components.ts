/** Components that need more than one core module or interface, as component text. Not part of the product. */
import { ofText, REALLOC, STANDARD } from './engine-guests.ts';

/** The records of `standard` that `receive` and `our` need, at component level. */
export const STANDARD_IMPORT = `
  (import "${STANDARD}" (instance $standard
    (type $process-id' (record (field "process-name" string) (field "package-name" string) (field "publisher-node" string)))
    (export "process-id" (type $process-id (eq $process-id')))
    (type $address' (record (field "node" string) (field "process" $process-id)))
    (export "address" (type $address (eq $address')))
    (type $blob' (record (field "mime" (option string)) (field "bytes" (list u8))))
    (export "lazy-load-blob" (type $blob (eq $blob')))
    (type $capability' (record (field "issuer" $address) (field "params" string)))
    (export "capability" (type $capability (eq $capability')))
    (type $request' (record (field "inherit" bool) (field "expects-response" (option u64))
      (field "body" (list u8)) (field "metadata" (option string)) (field "capabilities" (list $capability))))
    (export "request" (type $request (eq $request')))
    (type $response' (record (field "inherit" bool) (field "body" (list u8)) (field "metadata" (option string))
      (field "capabilities" (list $capability))))
    (export "response" (type $response (eq $response')))
    (type $message' (variant (case "request" $request) (case "response" (tuple $response (option (list u8))))))
    (export "message" (type $message (eq $message')))
    (type $kind' (enum "offline" "timeout"))
    (export "send-error-kind" (type $kind (eq $kind')))
    (type $send-error' (record (field "kind" $kind) (field "target" $address) (field "message" $message)
      (field "lazy-load-blob" (option $blob))))
    (export "send-error" (type $send-error (eq $send-error')))
    (export "our" (func (result $address)))
    (export "print-to-terminal" (func (param "verbosity" u8) (param "message" string)))
    (export "receive" (func (result
      (result (tuple $address $message) (error (tuple $send-error (option (list u8))))))))))`;

/** A core module that only has a memory of 17 pages and an allocator, so that imports can be lowered before their user exists. */
export const LIBC = `(core module $Libc (memory (export "memory") 17) ${REALLOC})
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "cabi_realloc" (core func $realloc))`;

const OPTIONS = '(memory $memory) (realloc $realloc)';

export interface ModuleParts {
  /** Component text before the module: lowered functions, for `imports`. */
  readonly before?: string;
  /** `(export "name" (func $lowered))` for the instance that the module imports as "host". */
  readonly imports?: string;
  /** The module's text: its imports from "host", and `init`. */
  readonly core: string;
  /** Options of the canonical functions beside memory and realloc. */
  readonly encoding?: string;
}

/** A component of one user module over `LIBC`. */
export function component({ before = '', imports = '', core, encoding = '' }: ModuleParts): string {
  return `(component ${STANDARD_IMPORT} ${LIBC}
    ${before}
    (core instance $host ${imports})
    (core module $Main (import "libc" "memory" (memory 0)) ${core})
    (core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance $host))))
    (func $init (param "our" string)
      (canon lift (core func $main "init") ${OPTIONS} ${encoding}))
    (export "init" (func $init)))`;
}

/** Lowers a function of `standard` as `$name`. */
export function lowered(name: string, encoding = ''): string {
  return `(alias export $standard "${name}" (func $${name}-func))
    (core func $${name} (canon lower (func $${name}-func) ${OPTIONS} ${encoding}))`;
}

/** Calls `our`, sleeps that long in WASI, calls `our` again and ends. */
export function sleeper(ns: bigint): Promise<Uint8Array> {
  return ofText(
    component({
      before: `
      (import "wasi:io/poll@0.2.3" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
      (alias export $poll "pollable" (type $pollable))
      (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
        (alias outer 1 $pollable (type $p'))
        (export "pollable" (type $p (eq $p')))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
      (alias export $poll "[method]pollable.block" (func $block-func))
      (core func $block (canon lower (func $block-func)))
      (alias export $clock "subscribe-duration" (func $subscribe-func))
      (core func $subscribe (canon lower (func $subscribe-func)))
      (core func $drop (canon resource.drop $pollable))
      ${lowered('our')}`,
      imports: `(export "block" (func $block)) (export "subscribe" (func $subscribe))
        (export "drop" (func $drop)) (export "our" (func $our))`,
      core: `
      (import "host" "block" (func $block (param i32)))
      (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
      (import "host" "drop" (func $drop (param i32)))
      (import "host" "our" (func $our (param i32)))
      (func (export "init") (param i32 i32) (local $handle i32)
        (call $our (i32.const 64))
        (local.set $handle (call $subscribe (i64.const ${ns})))
        (call $block (local.get $handle))
        (call $drop (local.get $handle))
        (call $our (i32.const 64)))`,
    }),
  );
}

/** A component in a component: the inner one exports `wait`, which receives; the outer one calls it for ever, printing "x" between. */
export function nestedReceiver(): Promise<Uint8Array> {
  return ofText(`(component ${STANDARD_IMPORT}
    ${LIBC}
    ${lowered('receive')} ${lowered('print-to-terminal')}
    (core module $InnerModule
      (import "host" "receive" (func $receive (param i32)))
      (func (export "wait") (result i32) (call $receive (i32.const 1024)) (i32.const 7)))
    (core instance $inner-host (export "receive" (func $receive)))
    (core instance $inner (instantiate $InnerModule (with "host" (instance $inner-host))))
    (func $wait-func (result u32) (canon lift (core func $inner "wait")))
    (core func $wait (canon lower (func $wait-func)))
    (core module $Main (import "libc" "memory" (memory 0))
      (import "host" "wait" (func $wait (result i32)))
      (import "host" "print" (func $print (param i32 i32 i32)))
      (data (i32.const 64) "x")
      (func (export "init") (param i32 i32)
        (loop $again
          (if (i32.ne (call $wait) (i32.const 7)) (then (unreachable)))
          (call $print (i32.const 0) (i32.const 64) (i32.const 1))
          (br $again))))
    (core instance $host (export "wait" (func $wait)) (export "print" (func $print-to-terminal)))
    (core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance $host))))
    (func $init (param "our" string)
      (canon lift (core func $main "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`);
}

/**
 * Two components: `Maker` defines a resource (make, read, destroy by printing its rep), `Main` uses it in the steps given, with
 * `$make` (rep) -> handle, `$read` (borrowed handle) -> rep, `$take` (owned handle) -> rep, `$drop` (handle) and `$print` of one digit.
 */
export function composed(
  steps: string,
  destructor = '(call $print-digit (local.get 0))',
): Promise<Uint8Array> {
  const digit = `(func $print-digit (param i32)
    (i32.store8 (i32.const 64) (i32.add (i32.const 48) (local.get 0)))
    (call $print (i32.const 0) (i32.const 64) (i32.const 1)))`;
  return ofText(`(component ${STANDARD_IMPORT} ${LIBC}
    (alias export $standard "print-to-terminal" (func $print-func))
    (component $Maker
      (import "print" (func $print-func (param "verbosity" u8) (param "message" string)))
      (core module $Libc (memory (export "memory") 1))
      (core instance $libc (instantiate $Libc))
      (alias core export $libc "memory" (core memory $memory))
      (core func $print (canon lower (func $print-func) (memory $memory)))
      (core module $Destructor (import "libc" "memory" (memory 0))
        (import "host" "print" (func $print (param i32 i32 i32)))
        ${digit}
        (func (export "destroy") (param i32) ${destructor}))
      (core instance $print-host (export "print" (func $print)))
      (core instance $destructor (instantiate $Destructor (with "libc" (instance $libc)) (with "host" (instance $print-host))))
      (type $thing' (resource (rep i32) (dtor (core func $destructor "destroy"))))
      (export $thing "thing" (type $thing'))
      (core func $new (canon resource.new $thing'))
      (core func $rep (canon resource.rep $thing'))
      (core module $Code
        (import "host" "new" (func $new (param i32) (result i32)))
        (import "host" "rep" (func $rep (param i32) (result i32)))
        (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "read") (param i32) (result i32) (local.get 0))
        (func (export "take") (param i32) (result i32) (call $rep (local.get 0))))
      (core instance $host (export "new" (func $new)) (export "rep" (func $rep)))
      (core instance $code (instantiate $Code (with "host" (instance $host))))
      (func (export "make") (param "rep" u32) (result (own $thing)) (canon lift (core func $code "make")))
      (func (export "read") (param "self" (borrow $thing)) (result u32) (canon lift (core func $code "read")))
      (func (export "take") (param "self" (own $thing)) (result u32) (canon lift (core func $code "take"))))
    (instance $maker (instantiate $Maker (with "print" (func $print-func))))
    (alias export $maker "thing" (type $thing))
    ${['make', 'read', 'take'].map((name) => `(alias export $maker "${name}" (func $${name}-func)) (core func $${name} (canon lower (func $${name}-func)))`).join('\n')}
    (core func $drop (canon resource.drop $thing))
    (core func $print (canon lower (func $print-func) (memory $memory)))
    (core instance $host ${['make', 'read', 'take', 'drop', 'print'].map((name) => `(export "${name}" (func $${name}))`).join(' ')})
    (core module $Main (import "libc" "memory" (memory 0))
      (import "host" "make" (func $make (param i32) (result i32)))
      (import "host" "read" (func $read (param i32) (result i32)))
      (import "host" "take" (func $take (param i32) (result i32)))
      (import "host" "drop" (func $drop (param i32)))
      (import "host" "print" (func $print (param i32 i32 i32)))
      ${digit}
      (func (export "init") (param i32 i32) (local $h i32) (local $g i32) ${steps}))
    (core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance $host))))
    (func $init (param "our" string) (canon lift (core func $main "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`);
}
