/**
 * `net.handshake`: connections that two nodes of this process open to each other over TCP, from `connect` until either knows who the other
 * is; `net.handshake.steps`: what of it are keys, proofs and ciphers.
 */
import { systemClock } from '../../kernel/clock.ts';
import { Acceptor } from '../../runtime-modules/net/accept.ts';
import { Dialler, type Opened } from '../../runtime-modules/net/dial.ts';
import {
  ALL_FEATURES,
  InitiatorHandshake,
  ResponderHandshake,
} from '../../runtime-modules/net/handshake.ts';
import { Pki } from '../../runtime-modules/net/pki.ts';
import { tcpTransport } from '../../runtime-modules/net/tcp.ts';
import { publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { percentile, timed } from './measure.ts';
import { place, processors } from './place.ts';
import { count, type Row, type Scale } from './row.ts';

/** 500 a second. */
const HANDSHAKE_MS_MAX = 2;
/** Connections that are opened at a time. */
const AT_A_TIME = 8;

export async function handshake(scale: Scale): Promise<readonly Row[]> {
  const times = count(1_000, scale, 2);
  const [first] = processors();
  const placed = first !== undefined && place([process.pid], [first]);
  try {
    await using pair = await Pair.start();
    const whole = await rounds(scale, times, () => pair.connect(times));
    const steps = await rounds(scale, times, () => pair.steps(times));
    const row = { unit: 'ms', floor: undefined, runs: scale.runs } as const;
    const where = placed ? 'both ends on one processor' : 'both ends in one process';
    return [
      {
        ...row,
        name: 'net.handshake',
        value: whole.ms,
        target: { of: 'value', max: HANDSHAKE_MS_MAX },
        note: `complete over TCP, ${where}, ${AT_A_TIME} at a time; ${(1_000 / whole.ms).toFixed(0)} a second, ${whole.cpuMs.toFixed(2)} ms CPU`,
      },
      {
        ...row,
        name: 'net.handshake.steps',
        value: steps.ms,
        target: undefined,
        note: `keys, proofs and ciphers of both ends; ${steps.cpuMs.toFixed(2)} ms CPU`,
      },
    ];
  } finally {
    if (placed) place([process.pid], processors());
  }
}

/** Medians over the runs, of one handshake; a first run does not count. */
async function rounds(
  scale: Scale,
  times: number,
  run: () => Promise<void>,
): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const took: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round <= scale.runs; round++) {
    const before = process.cpuUsage();
    const ms = await timed(run);
    const { user, system } = process.cpuUsage(before);
    if (round === 0) continue;
    took.push(ms / times);
    cpu.push((user + system) / 1_000 / times);
  }
  return { ms: percentile(took, 0.5), cpuMs: percentile(cpu, 0.5) };
}

/** alice.os, who dials, and bob.os, who listens. */
class Pair implements AsyncDisposable {
  readonly #pki: Pki;
  readonly #dialler: Dialler;
  readonly #close: () => Promise<void>;
  #opened: () => void = () => undefined;

  static async start(): Promise<Pair> {
    const pki = new Pki();
    let known = (): void => undefined;
    const acceptor = new Acceptor({
      us: signer('bob.os'),
      keyOf: (name) => pki.key(name),
      clock: systemClock,
      opened: (connection) => {
        connection.destroy();
        known();
      },
      route: (connection) => connection.destroy(),
      note: (reason) => {
        throw new Error(`bob.os refuses: ${reason}`);
      },
    });
    const listener = await tcpTransport().listen({ ip: '127.0.0.1', port: 0 }, acceptor.accept);
    for (const name of ['alice.os', 'bob.os'])
      pki.update({
        name,
        public_key: publicHex(testKey(name)),
        ips: ['127.0.0.1'],
        ports: new Map([['tcp', listener.port]]),
        routers: [],
      });
    const pair = new Pair(pki, () => listener.close());
    known = () => pair.#opened();
    return pair;
  }

  private constructor(pki: Pki, close: () => Promise<void>) {
    this.#pki = pki;
    this.#close = close;
    this.#dialler = new Dialler({
      us: signer('alice.os'),
      pki,
      clock: systemClock,
      transports: [tcpTransport()],
      permitted: () => true,
      random: Math.random,
    });
  }

  /** So many connections, several at a time; each is over when both ends know each other. */
  async connect(times: number): Promise<void> {
    let left = times;
    let known = 0;
    const all = Promise.withResolvers<void>();
    this.#opened = () => {
      known++;
      if (known === times) all.resolve();
    };
    const opened: Opened = () => undefined;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left--;
        const dialled = await this.#dialler.connect('bob.os', opened);
        if (!dialled.ok) throw new Error(`alice.os did not connect: ${dialled.error}`);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    await all.promise;
  }

  /** The same without sockets. */
  async steps(times: number): Promise<void> {
    const [alice, bob] = [signer('alice.os'), signer('bob.os')];
    const key = this.#pki.key('bob.os');
    if (key === undefined) throw new Error('bob.os has no key');
    for (let time = 0; time < times; time++) {
      const initiator = new InitiatorHandshake(
        alice,
        { name: 'bob.os', key },
        { proxyRequest: false },
      );
      const responder = new ResponderHandshake(bob, (name) => this.#pki.key(name));
      const two = responder.receive(initiator.start());
      const three = two.ok ? initiator.receive(two.value.reply!) : two;
      const end = three.ok ? responder.receive(three.value.reply!) : three;
      if (!end.ok) throw new Error(end.error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#dialler.close();
    await this.#close();
  }
}

function signer(name: string) {
  return { name, networkingKey: testKey(name), offered: ALL_FEATURES };
}
