/** A process's state: one value, stored as JSON through the kernel, saved when a handler is done and before its answer leaves. */
import type { Codec } from '../../wit/codec.ts';
import type { Host } from './host.ts';

export interface StateSpec<S> {
  readonly codec: Codec<S>;
  readonly initial: () => S;
}

/** State of the given shape; `initial` makes the first one. */
export function stateOf<S>(codec: Codec<S>, initial: () => S): StateSpec<S> {
  return { codec, initial };
}

export class StateCell<S> {
  value: S;
  readonly #host: Host;
  readonly #spec: StateSpec<S>;
  #saved: string | undefined;

  constructor(host: Host, spec: StateSpec<S>) {
    this.#host = host;
    this.#spec = spec;
    this.value = this.#load();
  }

  /** Stores the value if it differs from what is stored. */
  save(): void {
    const text = this.#spec.codec.stringify(this.value);
    if (text === this.#saved) return;
    this.#host.setState(new TextEncoder().encode(text));
    this.#saved = text;
  }

  #load(): S {
    const bytes = this.#host.getState();
    if (bytes === undefined) return this.#spec.initial();
    const decoded = this.#spec.codec.decode(bytes);
    if (decoded.ok) {
      this.#saved = new TextDecoder().decode(bytes);
      return decoded.value;
    }
    // Not a crash: with on-exit restart that would be a loop that nobody can leave.
    const { path, expected } = decoded.error;
    this.#host.print(
      0,
      `stored state cannot be read (${path === '' ? 'as a whole' : path}: expected ${expected}); starting afresh`,
    );
    return this.#spec.initial();
  }
}
