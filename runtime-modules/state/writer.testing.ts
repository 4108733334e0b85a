/**
 * A process that writes to the store at argv[2] as fast as it can and says on stdout what was acknowledged, until it is killed.
 * Each commit moves two states together, so that a torn batch would show. Run by level-store.test.ts only.
 */
import { writeSync } from 'node:fs';
import { processId } from '../../wit/address.ts';
import { openLevelStore } from './level-store.ts';

const [, , path = '', start = '0'] = process.argv;
const { store } = await openLevelStore(path, { onDamage: 'refuse' });
for (let count = Number(start); ; count += 1) {
  const bytes = new TextEncoder().encode(String(count));
  await store.commit([
    { kind: 'put-state', id: processId('left:test:sys'), bytes },
    { kind: 'put-state', id: processId(`n${count % 50}:test:sys`), bytes },
    { kind: 'put-state', id: processId('right:test:sys'), bytes },
  ]);
  // Synchronous: what is printed was acknowledged, even if the next instruction never runs.
  writeSync(1, `${count}\n`);
}
