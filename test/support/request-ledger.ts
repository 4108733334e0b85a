/**
 * Requests between nodes that come and go, each of which is to end once, by its deadline and a second (findings F28). A node that is killed takes
 * what it asked with it.
 */
import type { GuestCode } from '../../kernel/testing.ts';
import type { NetNode } from '../../runtime-modules/net/testing/nodes.ts';
import type { Clock } from '../../runtime-modules/shared/clock.ts';
import { processId } from '../../wit/address.ts';

const ASKER = processId('asker:test:sys');
const ECHO = processId('echo:test:sys');
const DEADLINE_S = 10;
const LATE_MS_MAX = (DEADLINE_S + 1) * 1_000;

interface Asked {
  readonly node: NetNode;
  readonly sinceMs: number;
}

export class RequestLedger {
  readonly #clock: Clock;
  readonly #open = new Map<string, Asked>();
  readonly #wrong: string[] = [];
  #number = 0;
  answered = 0;
  failed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives a node a process that asks others, and one that answers them. */
  async join(node: NetNode): Promise<void> {
    const holds = [node.node.network()];
    await node.node.start(ECHO, echo, { holds });
    await node.node.start(ASKER, this.#asker(node), { holds, public: true });
  }

  /** A request from one node to another; `bytes` of a blob go with it. */
  ask(from: NetNode, to: string, bytes: number): void {
    void from.ask(from.name, JSON.stringify({ to, bytes, number: this.#number++ }), ASKER);
  }

  /** The node is dead, and whatever it asked is nobody's. */
  forget(node: NetNode): void {
    for (const [number, asked] of this.#open) if (asked.node === node) this.#open.delete(number);
  }

  /** What has ended twice, or late, or not yet though it had to. */
  broken(): string[] {
    const nowMs = this.#clock.nowMs();
    const late = [...this.#open].flatMap(([number, { node, sinceMs }]) =>
      nowMs - sinceMs > LATE_MS_MAX ? [`request ${number} of ${node.name} has not ended`] : [],
    );
    return [...this.#wrong, ...late];
  }

  #asker(node: NetNode): GuestCode {
    return async (guest) => {
      for (;;) {
        const delivery = await guest.receive();
        if (delivery.kind === 'send-error') {
          this.#ended(delivery.context, 'error');
          continue;
        }
        const { message } = delivery;
        if (message.kind === 'response') {
          this.#ended(message.context, 'response');
          continue;
        }
        const text = new TextDecoder().decode(message.request.body);
        const { to, bytes, number } = JSON.parse(text) as { to: string } & Record<string, number>;
        await guest.respond('');
        this.#open.set(`${number}`, { node, sinceMs: this.#clock.nowMs() });
        await guest.send(
          `${to}@${ECHO}`,
          { expectsResponse: DEADLINE_S },
          {
            context: Buffer.from(`${number}`),
            blob: { mime: undefined, bytes: new Uint8Array(bytes ?? 0) },
          },
        );
      }
    };
  }

  #ended(context: Uint8Array | undefined, how: 'response' | 'error'): void {
    const number = new TextDecoder().decode(context);
    const asked = this.#open.get(number);
    if (asked === undefined) {
      this.#wrong.push(`request ${number} has ended twice, or was never made`);
      return;
    }
    this.#open.delete(number);
    if (how === 'response') this.answered++;
    else this.failed++;
    const tookMs = this.#clock.nowMs() - asked.sinceMs;
    if (tookMs > LATE_MS_MAX) this.#wrong.push(`request ${number} took ${tookMs} ms`);
  }
}

const echo: GuestCode = async (guest) => {
  for (;;) {
    const delivery = await guest.receive();
    if (delivery.kind === 'message' && delivery.message.kind === 'request') await guest.respond('');
  }
};
