/**
 * The floor of a round trip: two WAT guests that wake each other through JSPI, with no kernel between. Each way a body is copied out
 * of one memory and into the other by plain JavaScript, as it must be when neither guest may see the other's memory.
 */
import { fileURLToPath } from 'node:url';
import { readFile } from 'node:fs/promises';
import { parseText } from '../../kit/build/wasm-tools.ts';

export interface FloorPair {
  /** Resolves after that many round trips. */
  exchange(roundTrips: number): Promise<void>;
}

export async function floorPair(): Promise<FloorPair> {
  const [asker, echo] = await Promise.all([compile('floor-asker'), compile('floor-echo')]);
  let incoming: (length: number) => void = () => undefined;
  let returning: () => void = () => undefined;
  let resultAt = 0;
  let askerBytes = new Uint8Array();
  let echoBytes = new Uint8Array();
  let receiveAt = 0;
  const exchange = (at: number, length: number, result: number): Promise<void> => {
    const body = askerBytes.slice(at, at + length);
    resultAt = result;
    echoBytes.set(body, receiveAt);
    incoming(length);
    return new Promise((resolve) => (returning = resolve));
  };
  const receive = (at: number): Promise<number> => {
    receiveAt = at;
    return new Promise((resolve) => (incoming = resolve));
  };
  const answer = (at: number, length: number): void => {
    const body = echoBytes.slice(at, at + length);
    askerBytes.set(body, resultAt);
    returning();
  };
  const left = await WebAssembly.instantiate(asker, {
    floor: { exchange: new WebAssembly.Suspending(exchange) },
  });
  const right = await WebAssembly.instantiate(echo, {
    floor: { receive: new WebAssembly.Suspending(receive), answer },
  });
  askerBytes = memoryOf(left);
  echoBytes = memoryOf(right);
  // It never returns: it waits for the next body until it is collected.
  void WebAssembly.promising(right.exports['run'] as () => void)();
  const run = WebAssembly.promising(left.exports['run'] as (count: number) => void);
  return { exchange: async (roundTrips) => void (await run(roundTrips)) };
}

function memoryOf(instance: WebAssembly.Instance): Uint8Array<ArrayBuffer> {
  const { buffer } = instance.exports['memory'] as WebAssembly.Memory;
  return new Uint8Array(buffer);
}

async function compile(name: string): Promise<WebAssembly.Module> {
  const file = fileURLToPath(new URL(`guests/${name}.wat`, import.meta.url));
  const bytes = await parseText(await readFile(file, 'utf8'), file);
  return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
}
