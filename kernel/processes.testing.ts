/** Processes of the tests of the kernel: their names, and the one that does nothing. */
import type { GuestCode } from './testing.ts';

export const A = 'a:pkg:sys';
export const B = 'b:pkg:sys';
export const C = 'c:pkg:sys';

/** The address of a process of the node that `TestNode` makes. */
export const at = (id: string): string => `fake.os@${id}`;

/** Takes what comes, and answers nothing. */
export const idle: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};
