/**
 * Every message of the node passes here once: access rules, then the receiver's mailbox, module queue, the kernel's commands or
 * the net (kernel.md §1.12). Synchronous; the only promise is that of a sender suspended by a full receiver.
 */
import { formatAddress, isSafeProcessId, OUR } from '../wit/address.ts';
import type { Address, Capability, KernelMessage, ProcessId, SendErrorKind } from '../wit/types.ts';
import type { CapabilitySigner } from './capability-signature.ts';
import { pruneIncoming, type CapabilityStore } from './capability-store.ts';
import type { EventDebug } from './event-debug.ts';
import { keep } from './held-blob.ts';
import { SUSPENDED_SENDER_S } from './limits.ts';
import type { Offered, SendFailure } from './module.ts';
import type { PrintSink } from './print.ts';
import type { MaybePromise } from './process-host.ts';
import type { ModuleMember, Party, Process, ProcessTable } from './process-table.ts';
import { decideRoute, type Refusal, type Route } from './route.ts';

/** Takes messages for other nodes. `signatures` is set when capabilities are attached. */
export interface RemoteTransport {
  /** A promise while too much waits for that node; it resolves when the message was taken, or has failed. */
  send(message: KernelMessage): MaybePromise<void>;
}

export interface DispatcherParts {
  readonly table: ProcessTable;
  readonly capabilities: CapabilityStore;
  readonly signer: CapabilitySigner;
  readonly sink: PrintSink;
  readonly debug: EventDebug;
}

export class Dispatcher {
  readonly #table: ProcessTable;
  readonly #capabilities: CapabilityStore;
  readonly #signer: CapabilitySigner;
  readonly #sink: PrintSink;
  readonly #debug: EventDebug;
  /** Without one, requests to other nodes fail `offline`. */
  net: RemoteTransport | undefined = undefined;
  /** The command handler of `kernel:distro:sys`. */
  commands: (source: Party, message: KernelMessage) => void = () => undefined;

  constructor(parts: DispatcherParts) {
    this.#table = parts.table;
    this.#capabilities = parts.capabilities;
    this.#signer = parts.signer;
    this.#sink = parts.sink;
    this.#debug = parts.debug;
  }

  /** The address with the node name `our` replaced. */
  resolve(target: Address): Address {
    return target.node === OUR ? { node: this.#table.our, process: target.process } : target;
  }

  /**
   * Routes a message of somebody on this node. `message.target` is resolved. A promise resolves when a full receiver took the
   * message or SUSPENDED_SENDER_S are over; only processes are to wait for it.
   */
  send(source: Party, message: KernelMessage): MaybePromise<void> {
    if (source.kind === 'process') source.sent++;
    const route = decideRoute<Party>(this.#table, source, message.target);
    if (route.kind === 'refused') return this.#refuse(route, source, message);
    if (this.#debug.active && !this.#debug.pass(message, () => this.#resume(source, message))) {
      return undefined;
    }
    return this.#enter(route, source, message);
  }

  /** As `send`, for a module that can hold back what it sends: what became of it, later only when the mailbox is full. */
  offer(source: ModuleMember, message: KernelMessage): MaybePromise<Offered> {
    const route = decideRoute<Party>(this.#table, source, message.target);
    if (route.kind === 'refused') {
      this.#refuse(route, source, message);
      return 'refused';
    }
    if (this.#debug.active && !this.#debug.pass(message, () => this.#resume(source, message))) {
      return 'taken';
    }
    if (route.kind !== 'process' || message.message.kind === 'response') {
      void this.#enter(route, source, message);
      return 'taken';
    }
    if (route.state === 'zombie') return 'refused';
    this.#noteArrival(route, message.message.request.capabilities);
    if (route.host.offer(message)) return 'taken';
    let offered: Offered = 'taken';
    return route.host.suspend(message, () => (offered = 'full')).then(() => offered);
  }

  /**
   * Takes a message that another node sent; its source is what the transport proved. Says nothing to the sender. A promise while the
   * receiver is full: it resolves when the message was taken, or dropped after SUSPENDED_SENDER_S.
   */
  inject(message: KernelMessage): MaybePromise<void> {
    const { source } = message;
    const target = this.resolve(message.target);
    // Nobody else may speak for this node, and no address on this node can have such a name.
    if (
      source.node === this.#table.our ||
      source.node === OUR ||
      !isSafeProcessId(source.process)
    ) {
      return this.#say(2, `dropped a message that claims to come from ${formatAddress(source)}`);
    }
    const ours = target === message.target ? message : { ...message, target };
    const arrived = this.#withoutSignatures(ours);
    const route = decideRoute<Party>(this.#table, undefined, target);
    if (route.kind === 'refused') return this.#refuseRemote(route, arrived);
    const enter = (): MaybePromise<void> => {
      if (route.kind === 'process') return this.#toProcess(route, undefined, arrived);
      if (route.kind === 'module') return this.#toModule(route, undefined, arrived);
      return undefined;
    };
    if (this.#debug.active && !this.#debug.pass(arrived, () => void enter())) return undefined;
    return enter();
  }

  /** A message of this node could not be delivered; tells its sender if that awaits a response (kernel.md §1.9). */
  failed(message: KernelMessage, kind: SendErrorKind, refusal: string | undefined): void {
    if (message.source.node !== this.#table.our) return;
    const source = this.#table.get(message.source.process);
    if (refusal === undefined) return this.#fail(source, message, kind, 'unreachable');
    return this.#fail(source, message, kind, 'too-large', refusal);
  }

  /** Level-0 to level-2 lines of the kernel itself, or about one process. */
  say(verbosity: number, text: string, process: ProcessId = this.#table.kernel.id): void {
    void this.#sink.print({ verbosity, process, text });
  }

  #say(verbosity: number, text: string): void {
    this.say(verbosity, text);
  }

  /** A message that was held for a step; the tables may have changed since. */
  #resume(source: Party, message: KernelMessage): void {
    const route = decideRoute<Party>(this.#table, source, message.target);
    if (route.kind === 'refused') this.#refuse(route, source, message);
    else void this.#enter(route, source, message);
  }

  #enter(
    route: Exclude<Route<Party>, Refusal>,
    source: Party,
    message: KernelMessage,
  ): MaybePromise<void> {
    if (route.kind !== 'process') keep(message.blob);
    switch (route.kind) {
      case 'process':
        return this.#toProcess(route, source, message);
      case 'module':
        return this.#toModule(route, source, message);
      case 'kernel':
        return this.commands(source, message);
      case 'net':
        return this.#toNet(source, message);
    }
  }

  #toProcess(
    target: Process,
    source: Party | undefined,
    message: KernelMessage,
  ): MaybePromise<void> {
    const { message: content } = message;
    if (target.state === 'zombie') return this.#fail(source, message, 'timeout', 'gone');
    if (content.kind === 'response') {
      if (target.host.reply(message)) this.#noteArrival(target, content.response.capabilities);
      return undefined;
    }
    // Noted first: the receiver may run and save them as soon as it has the message.
    this.#noteArrival(target, content.request.capabilities);
    if (target.host.offer(message)) return undefined;
    if (source === undefined || source.kind === 'process') {
      return target.host.suspend(message, () => this.#gaveUp(target, source, message));
    }
    return this.#gaveUp(target, source, message);
  }

  #noteArrival(target: Process, capabilities: readonly Capability[]): void {
    target.received++;
    if (capabilities.length > 0) this.#capabilities.noteDelivered(target, capabilities);
  }

  #toModule(
    target: ModuleMember,
    source: Party | undefined,
    message: KernelMessage,
  ): MaybePromise<void> {
    if (message.message.kind === 'response') return target.queue.reply(message);
    if (target.queue.offer(message, source)) return undefined;
    if (source === undefined || source.kind === 'process') {
      return target.queue.suspend(message, source, () => this.#gaveUp(target, source, message));
    }
    return this.#gaveUp(target, source, message);
  }

  #toNet(source: Party, message: KernelMessage): MaybePromise<void> {
    if (this.net === undefined) return this.#fail(source, message, 'offline', 'unreachable');
    const { message: content } = message;
    const part = content.kind === 'request' ? content.request : content.response;
    if (part.capabilities.length === 0) return this.net.send(message);
    const signatures = part.capabilities.map((capability) => this.#signer.sign(capability));
    return this.net.send({ ...message, signatures });
  }

  #gaveUp(target: Party, source: Party | undefined, message: KernelMessage): void {
    const from = formatAddress(message.source);
    const waited =
      source === undefined || source.kind === 'process' ? ` for ${SUSPENDED_SENDER_S} s` : '';
    const text = `dropped a request from ${from}: ${target.id} has had no room${waited}`;
    const expects =
      message.message.kind === 'request' && message.message.request.expectsResponse !== undefined;
    this.#say(source === undefined || expects ? 2 : 0, text);
    this.#fail(source, message, 'timeout', 'full');
  }

  /** `why` is for modules: a guest is told `kind` only, and a refusal of the transport. */
  #fail(
    source: Party | undefined,
    message: KernelMessage,
    kind: SendErrorKind,
    why: SendFailure,
    refusal?: string,
  ): void {
    const { message: content } = message;
    if (content.kind !== 'request' || content.request.expectsResponse === undefined) return;
    if (source?.kind === 'process' && source.exists)
      source.host.fail(message.id, kind, message.target, refusal);
    if (source?.kind === 'module') source.queue.failed(message, kind, why);
  }

  #refuse(refusal: Refusal, source: Party, message: KernelMessage): void {
    const from = formatAddress(message.source);
    const to = formatAddress(message.target);
    switch (refusal.reason) {
      case 'no-network-capability':
        this.#say(0, `${from} has no network capability`);
        this.#say(0, `dropped its message to ${to}`);
        break;
      case 'no-messaging-capability':
        this.#say(0, `${from} has no messaging capability for ${to}`);
        break;
      case 'unknown-target':
        this.#say(2, `${from} sent a message to ${to}, which does not exist`);
        break;
      default:
        // A killed process's last words (E11).
        return;
    }
    const why = refusal.reason === 'unknown-target' ? 'gone' : 'not-permitted';
    this.#fail(source, message, 'timeout', why);
  }

  #refuseRemote(refusal: Refusal, message: KernelMessage): void {
    const networked = refusal.reason !== 'remote-target-not-networked';
    const why = {
      'remote-target-not-networked': 'it has no network capability',
      'remote-to-kernel': 'the kernel takes no commands from other nodes',
      relayed: 'it is on another node',
    };
    const text = `dropped a message from ${formatAddress(message.source)} to ${formatAddress(message.target)}`;
    const reason = (why as Partial<Record<string, string>>)[refusal.reason] ?? 'it does not exist';
    this.#say(networked && refusal.reason !== 'remote-to-kernel' ? 2 : 0, `${text}: ${reason}`);
  }

  #withoutSignatures(message: KernelMessage): KernelMessage {
    if (isBare(message)) return message;
    const { signatures = [], message: content, ...rest } = message;
    if (content.kind === 'request') {
      const capabilities = this.#pruned(content.request.capabilities, signatures);
      return {
        ...rest,
        message: { kind: 'request', request: { ...content.request, capabilities } },
      };
    }
    const capabilities = this.#pruned(content.response.capabilities, signatures);
    const response = { ...content.response, capabilities };
    // A context never leaves its node: one from elsewhere means nothing (kernel.md §1.3).
    return { ...rest, message: { kind: 'response', response, context: undefined } };
  }

  #pruned(
    capabilities: readonly Capability[],
    signatures: readonly Uint8Array[],
  ): readonly Capability[] {
    if (capabilities.length === 0) return capabilities;
    return pruneIncoming(capabilities, signatures, this.#table.our, this.#signer);
  }
}

/** Whether there is nothing in it that a node does not take from another; most messages are so, and copying one costs more than routing it. */
function isBare({ message, signatures }: KernelMessage): boolean {
  if (signatures !== undefined) return false;
  if (message.kind === 'request') return message.request.capabilities.length === 0;
  return message.response.capabilities.length === 0 && message.context === undefined;
}
