/** A process that may command the kernel, and commands for it. */
import { formatJson, parseJson, type JsonValue } from '../wit/json.ts';
import type { LazyLoadBlob } from '../wit/types.ts';
import { bytesOf, type GuestApi, type GuestCode, type TestNode } from './testing.ts';

export const BOSS = 'boss:pkg:sys';
export const KERNEL = 'fake.os@kernel:distro:sys';

export const SILENCE = 'no answer';

/** Sends a command and waits: the answer's JSON, or SILENCE when it timed out. */
export async function ask(
  guest: GuestApi,
  command: JsonValue | string,
  blob?: LazyLoadBlob,
): Promise<unknown> {
  const body = bytesOf(typeof command === 'string' ? command : formatJson(command));
  const awaited = await guest.sendAndAwait(KERNEL, { body, expectsResponse: 1 }, blob);
  if (!awaited.ok) return SILENCE;
  const { message } = awaited.value;
  return message.kind === 'response' ? parseJson(message.response.body) : undefined;
}

/** Runs `act` as a process that may command the kernel. */
export async function boss<T>(
  node: TestNode,
  act: (guest: GuestApi) => Promise<T>,
  holds: string[] = [],
): Promise<T> {
  let result: T | undefined;
  let failure: unknown;
  let done = false;
  await node.start(
    BOSS,
    async (guest) => {
      try {
        result = await act(guest);
        done = true;
      } catch (error) {
        failure = error;
      }
    },
    { holds: ['kernel:distro:sys', ...holds] },
  );
  for (let second = 0; second < 20 && !done && failure === undefined; second++)
    await node.clock.advance(1_100);
  if (failure !== undefined) throw failure;
  if (!done) throw new Error('the boss never finished');
  return result as T;
}

export const initialize = (id: string, more: Record<string, JsonValue> = {}): JsonValue => ({
  InitializeProcess: {
    id,
    wasm_bytes_handle: '/pkg:sys/pkg/x.wasm',
    wit_version: 1,
    on_exit: 'None',
    initial_capabilities: [],
    public: false,
    ...more,
  },
});
export const wasm = (node: TestNode, code: GuestCode, name = 'guest'): LazyLoadBlob => ({
  mime: undefined,
  bytes: node.engine.component(name, code),
});
