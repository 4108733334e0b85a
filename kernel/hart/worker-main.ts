/** A worker hart: an engine and the registers of its processes on a thread of their own. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import type { Guest } from '../engine.ts';
import { StandardHost } from '../host-standard.ts';
import { RandomIds } from '../ids.ts';
import { messageBytes } from '../mailbox.ts';
import type { Delivery } from '../process-host.ts';
import type { KernelMessage, OnExit } from '../../wit/types.ts';
import { planComponent } from '../image/plan.ts';
import { readComponent } from '../image/read-component.ts';
import { TimerWheel } from '../timer-wheel.ts';
import { WasmEngine, type WasmImage } from './engine.ts';
import { RemoteLink } from './remote-link.ts';
import { guestSystem } from './guest-system.ts';
import { HEARTBEAT_MS, Outbox, type FromHart, type ToHart } from './worker-protocol.ts';

/** Given by worker-hart.ts. */
interface HartData {
  readonly freezable: boolean;
}

interface Hosted {
  readonly link: RemoteLink;
  readonly host: StandardHost;
  readonly guest: Guest;
}

const port = parentPort!;
const { freezable } = workerData as HartData;
const outbox = new Outbox<FromHart>((batch) => port.postMessage(batch));
const parts = { timers: new TimerWheel(systemClock), ids: new RandomIds(), outbox };
const images = new Map<string, WasmImage>();
const processes = new Map<number, Hosted>();
const engine = new WasmEngine({ system: guestSystem });

port.on('message', (batch: readonly ToHart[]) => {
  for (const message of batch) handle(message);
});
setInterval(() => {
  outbox.push({
    kind: 'alive',
    usage: [...processes].map(([process, { guest }]) => [process, guest.usage()]),
  });
  outbox.flush();
}, HEARTBEAT_MS);

function handle(message: ToHart): void {
  switch (message.kind) {
    case 'image':
      images.set(message.hash, {
        hash: message.hash,
        component: message.component,
        plan: planComponent(readComponent(message.component)),
        modules: message.modules,
        trampoline: message.trampoline,
        signatures: message.signatures,
      });
      return;
    case 'start':
      start(message);
      return;
    case 'freeze':
      if (freezable) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return;
    default: {
      // Late words to a process that has ended mean nothing any more.
      const hosted = processes.get(message.process);
      if (hosted !== undefined) deliver(hosted, message);
    }
  }
}

type ToProcess = Exclude<ToHart, { kind: 'image' | 'start' | 'freeze' }>;

function deliver({ link, host, guest }: Hosted, message: ToProcess): void {
  switch (message.kind) {
    case 'request':
      // The kernel counts what is in here and sends no more than fits.
      host.offer(message.message);
      return;
    case 'reply':
      host.reply(message.message);
      return;
    case 'fail':
      host.fail(message.id, message.error, message.target, message.refusal);
      return;
    case 'answer':
      link.answered(message.call, message.value);
      return;
    case 'refuse':
      link.refused(message.call, message.message);
      return;
    case 'taken':
      link.taken(message.count);
      return;
    case 'kill':
      host.close();
      guest.kill();
  }
}

function start({ process, our, hash, onExit }: Extract<ToHart, { kind: 'start' }>): void {
  const link = new RemoteLink(process, our, parts);
  const host = new ReportingHost(link, onExit, process);
  const guest = engine.start(images.get(hash)!, our, host);
  processes.set(process, { link, host, guest });
  void guest.ended.then((end) => {
    processes.delete(process);
    const last = host.onExit;
    host.close();
    outbox.push({ kind: 'ended', process, end, usage: guest.usage(), onExit: last });
  });
}

/** Tells the kernel what the guest has taken out of its mailbox, once for all of a turn. */
class ReportingHost extends StandardHost {
  readonly #process: number;
  #requests = 0;
  #bytes = 0;
  #report: { consumed: number; consumedBytes: number } | undefined;
  #reportedIn = -1;

  constructor(link: RemoteLink, onExit: OnExit, process: number) {
    super(link, onExit);
    this.#process = process;
  }

  override offer(message: KernelMessage): boolean {
    this.#requests += 1;
    this.#bytes += messageBytes(message);
    const taken = super.offer(message);
    // A guest that waited for it got it without the mailbox.
    if (this.mailbox.requests === 0) this.#tell();
    return taken;
  }

  override receive(wake: (delivery: Delivery) => void): Delivery | undefined {
    const delivery = super.receive(wake);
    if (delivery !== undefined) this.#tell();
    return delivery;
  }

  #tell(): void {
    const consumed = this.#requests - this.mailbox.requests;
    const consumedBytes = this.#bytes - this.mailbox.bytes;
    if (this.#report !== undefined && this.#reportedIn === outbox.batches) {
      Object.assign(this.#report, { consumed, consumedBytes });
      return;
    }
    const report = { kind: 'room' as const, process: this.#process, consumed, consumedBytes };
    this.#report = report;
    this.#reportedIn = outbox.batches;
    outbox.push(report);
  }
}
