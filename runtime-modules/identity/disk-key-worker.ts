/** Worker thread: one PBKDF2 derivation, then it ends (findings.md F33). */
import { pbkdf2Sync } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { DiskKeyJob } from './password.ts';

// Proof of the type: password.ts, the only file that starts this one, checks it there.
const { password, salt, iterations, keyBytes } = workerData as DiskKeyJob;
const derived = pbkdf2Sync(password, salt, iterations, keyBytes, 'sha256');
password.fill(0);
// Memory of its own, to be handed over whole: what is left behind in this thread is zeros.
const key = Uint8Array.from(derived);
derived.fill(0);
parentPort?.postMessage(key, [key.buffer]);
