/**
 * What the kernel needs of an engine: component bytes to an image, an image and a host to a running guest. The real engine is
 * kernel/hart (JSPI, fuel, lean bindings); kernel tests run guests written as plain functions.
 */
import type { Address } from '../wit/types.ts';
import type { ProcessHost } from './process-host.ts';

/** A validated, instrumented, compiled component; processes of the same bytes share one. */
export interface Image {
  /** Lower-case hex SHA-256 of the component's bytes. */
  readonly hash: string;
}

/** How a guest ended. */
export type GuestEnd =
  /** `init` returned. */
  | { readonly kind: 'returned' }
  /** `report`: readable text, one fault per line, with the guest's function names; `stderr`: what the guest wrote there last. */
  | { readonly kind: 'trapped'; readonly report: string; readonly stderr: string }
  /** `Guest.kill` did it. */
  | { readonly kind: 'killed' }
  /** It could not be linked or instantiated, so `init` never ran. */
  | { readonly kind: 'not-started'; readonly reason: string };

/** What a guest has used so far. */
export interface GuestUsage {
  /** Instructions charged, in fuel units. */
  readonly fuel: number;
  /** Wall time its code ran, in milliseconds. */
  readonly cpuMs: number;
  /** Linear memory it holds now, in bytes. */
  readonly memoryBytes: number;
}

export interface Guest {
  /** Settles once, never rejects. After it, no host function is called again. */
  readonly ended: Promise<GuestEnd>;
  /** Unwinds the guest at once if it is suspended, at its next fuel check or host call if it runs. Safe to call twice. */
  kill(): void;
  usage(): GuestUsage;
  /** The end of what it wrote to stdout and stderr; undefined where its hart does not say. */
  output?(): string;
}

export interface Engine {
  /**
   * Validates, instruments and compiles; cached by content.
   * @throws ImageError (rejection) when the bytes are no component this node can run; its message names what was wrong.
   */
  load(component: Uint8Array): Promise<Image>;
  /** Starts `init(our)`. Nothing of the guest runs before the current turn ends. */
  start(image: Image, our: Address, host: ProcessHost): Guest;
  /** Why no further guest can start now (F6: too many live ones), in words for the operator; undefined when one can. */
  startRefusal?(): string | undefined;
}

/** A component that cannot become an image. `code` is stable; the message says what to do. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code:
    | 'not-a-component'
    | 'malformed'
    | 'unsafe-name'
    | 'unsupported-import'
    | 'unsupported-export'
    | 'unsupported-feature'
    | 'unsupported-generation'
    | 'limit'
    | 'invalid';
  constructor(code: ImageError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
