/**
 * Segments of a function body: stretches of code with one charge at their start.
 *
 * Code belongs to the segment that is paid whenever that code runs: after a conditional branch, in an arm, after a block that
 * something jumped out of, a new segment starts. It joins the segment around it (its charge moves there) while what is charged without
 * running stays small, so the charge is never below what runs and at most about twice it.
 */
import { grown } from './fuel-edits.ts';

/**
 * Fuel units a segment may charge for code that might not run, beyond what surely runs. Tried (time with fuel / without, fib, sum,
 * interpreter of test/bench/fuel-kernels): 0 gives 2.00, 1.67, 1.37; 16 gives 1.80, 1.25, 1.43; 32 and 64 gain nothing and charge more.
 */
const JOIN_SLACK = 16;

/** The segments of one body. The arrays are reused from function to function. */
export class Segments {
  /** Per segment: its charge (0: it joined another), whether it checks, whether the counter is in its local there. */
  amount = new Int32Array(1024);
  checked = new Uint8Array(1024);
  inLoop = new Uint8Array(1024);
  /** Per segment: the one that was current before it; what it charges that might not run; whether it may join. */
  #before = new Int32Array(1024);
  #maybe = new Int32Array(1024);
  #joinable = new Uint8Array(1024);
  count = 0;
  current = -1;

  reset(): void {
    this.count = 0;
    this.current = -1;
  }

  /** Starts a segment, which becomes the current one; one that checks joins no other. */
  start(joinable: boolean, check: boolean, inLoop: boolean): number {
    const segment = this.count++;
    if (segment === this.amount.length) this.#grow();
    this.amount[segment] = 0;
    this.checked[segment] = check ? 1 : 0;
    this.inLoop[segment] = inLoop ? 1 : 0;
    this.#before[segment] = this.current;
    this.#maybe[segment] = 0;
    this.#joinable[segment] = joinable && !check ? 1 : 0;
    this.current = segment;
    return segment;
  }

  /** Charges the current segment. */
  charge(weight: number): void {
    this.amount[this.current] = (this.amount[this.current] as number) + weight;
  }

  /** Closes the segments opened since `segment` was current; small ones join the one around them. */
  closeTo(segment: number): void {
    let closing = this.current;
    while (closing !== segment) {
      const around = this.#before[closing] as number;
      if (this.#joinable[closing] === 1) this.#join(closing, around);
      closing = around;
    }
    this.current = segment;
  }

  #join(closing: number, around: number): void {
    const total = this.amount[closing] as number;
    const surely = (this.amount[around] as number) - (this.#maybe[around] as number);
    const maybe = (this.#maybe[around] as number) + total;
    if (maybe > JOIN_SLACK + surely) return;
    this.#maybe[around] = maybe;
    this.amount[around] = (this.amount[around] as number) + total;
    this.amount[closing] = 0;
  }

  #grow(): void {
    this.amount = grown(this.amount);
    this.checked = grown(this.checked);
    this.inLoop = grown(this.inLoop);
    this.#before = grown(this.#before);
    this.#maybe = grown(this.#maybe);
    this.#joinable = grown(this.#joinable);
  }
}
