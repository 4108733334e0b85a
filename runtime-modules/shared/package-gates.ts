/** Lets a backup hold all work on one package's data for a moment, while other packages go on. */
import { Gate } from './gate.ts';

export class PackageGates {
  readonly #gates = new Map<string, Gate>();

  /** Runs `work` unless one of the packages is held; then when it is let go. */
  pass<T>(packages: readonly string[], work: () => Promise<T>): Promise<T> {
    const [only] = packages;
    if (packages.length === 1 && only !== undefined)
      return this.#with(only, (gate) => gate.shared(work));
    // Sorted, and once each: two works that touch the same packages cannot wait for each other.
    const sorted = [...new Set(packages)].toSorted();
    const through = (at: number): Promise<T> => {
      const name = sorted[at];
      return name === undefined
        ? work()
        : this.#with(name, (gate) => gate.shared(() => through(at + 1)));
    };
    return through(0);
  }

  /** Waits for the work inside, keeps new work out, and runs `work`. */
  hold<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#with(name, (gate) => gate.exclusive(work));
  }

  async #with<T>(name: string, use: (gate: Gate) => Promise<T>): Promise<T> {
    let gate = this.#gates.get(name);
    if (gate === undefined) {
      gate = new Gate();
      this.#gates.set(name, gate);
    }
    try {
      return await use(gate);
    } finally {
      if (gate.idle && this.#gates.get(name) === gate) this.#gates.delete(name);
    }
  }
}
