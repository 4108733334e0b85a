/** Processes of the tests of the kernel: their names, and the one that does nothing. */
import { processId } from '../wit/address.ts';
import type { GuestCode, TestNode } from './testing.ts';

export const A = 'a:pkg:sys';
export const B = 'b:pkg:sys';
export const C = 'c:pkg:sys';

/** The address of a process of the node that `TestNode` makes. */
export const at = (id: string): string => `fake.os@${id}`;

/** Takes what comes, and answers nothing. */
export const idle: GuestCode = async (guest) => {
  for (;;) await guest.receive();
};

/** Whether the process map has it. */
export const live = (node: TestNode, id: string): boolean =>
  node.kernel.processMap().has(processId(id));
