/** Words of the chain: nobody, nothing, and hex that is the same in either case. */

export const NOBODY = `0x${'00'.repeat(20)}`;
export const NOTHING = `0x${'00'.repeat(32)}`;

/** Of hex in either case. */
export function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
