/** Worker thread: prepares one component a message (findings.md F10). */
import { parentPort } from 'node:worker_threads';
import { ImageError } from '../engine.ts';
import { prepare } from './prepare.ts';

/** Errors lose their class on the way between threads. */
export type PrepareReply =
  | { readonly id: number; readonly modules: readonly Uint8Array[] }
  | {
      readonly id: number;
      readonly code: ImageError['code'] | undefined;
      readonly message: string;
    };

parentPort?.on('message', ({ id, component }: { id: number; component: Uint8Array }) => {
  parentPort?.postMessage(reply(id, component));
});

function reply(id: number, component: Uint8Array): PrepareReply {
  try {
    return { id, modules: prepare(component) };
  } catch (error) {
    return error instanceof ImageError
      ? { id, code: error.code, message: error.message }
      : {
          id,
          code: undefined,
          message: error instanceof Error ? (error.stack ?? error.message) : String(error),
        };
  }
}
