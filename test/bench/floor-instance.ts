/** The floor of a spawn: the core module of the smallest guest, compiled, instantiated bare, run up to its first `receive`. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseText } from '../../kit/build/wasm-tools.ts';

/** Instantiates once; returns milliseconds. */
export type BareSpawn = () => number;

export async function bareSpawn(): Promise<BareSpawn> {
  const file = fileURLToPath(new URL('../guests/echo.wat', import.meta.url));
  const bytes = await parseText(await readFile(file, 'utf8'), file);
  const module = await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  // Kept for ever, as a live process is; otherwise its memory would be collected during the measurement.
  const alive: WebAssembly.Instance[] = [];
  return () => {
    const start = performance.now();
    const instance = new WebAssembly.Instance(module, {
      'hyperware:process/standard@1.0.0': {
        receive: new WebAssembly.Suspending(() => new Promise(() => undefined)),
        'send-response': () => undefined,
      },
    });
    void WebAssembly.promising(instance.exports['init'] as (at: number, length: number) => void)(
      0,
      0,
    );
    const ms = performance.now() - start;
    alive.push(instance);
    return ms;
  };
}
