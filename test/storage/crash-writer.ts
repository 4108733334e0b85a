/**
 * A process that writes through the store and the modules as fast as it can, and says on stdout what was acknowledged, until it is
 * killed. It waits for a line on stdin with where to write and where to go on from, so that starting it costs no time of the test.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openLevelStore } from '../../runtime-modules/state/level-store.ts';
import { subjects, type Counts } from './crash-subjects.ts';

export interface Orders {
  readonly home: string;
  /** What each subject goes on with. */
  readonly next: Counts;
  readonly synced?: boolean;
  readonly sql?: boolean;
}

/** What sqlite's processes need to be recorded as this one is, if it is (recorder.c). */
function recorderOf(ours: NodeJS.ProcessEnv): Record<string, string> {
  const names = ['LD_PRELOAD', 'HYPERLOOM_RECORD_LOG', 'HYPERLOOM_RECORD_ROOT'];
  return Object.fromEntries(
    names.flatMap((name) => (ours[name] === undefined ? [] : [[name, ours[name]]])),
  );
}

// Never reached at the end of a process that is killed: later writers start in half the time.
flushCompileCache();
writeSync(1, 'ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const { home, next, synced = false, sql = false } = JSON.parse(line) as Orders;
  const { store } = await openLevelStore(join(home, 'kernel'), { onDamage: 'refuse' });
  const environment = recorderOf(process.env);
  for (const subject of subjects({ home, store, synced, sql, environment }).all) {
    void (async () => {
      await subject.begin(next[subject.name] ?? 0);
      for (let count = next[subject.name] ?? 0; ; count += 1) {
        await subject.write(count);
        // Synchronous: what is printed was acknowledged, even if the next instruction never runs.
        writeSync(1, `${subject.name} ${count}\n`);
      }
    })();
  }
}
