/** The compiler in a thread of its own: it blocks for seconds. Takes standard JSON, posts standard JSON. */
import { parentPort, workerData } from 'node:worker_threads';
import solc from 'solc';

parentPort?.postMessage(solc.compile(workerData as string));
