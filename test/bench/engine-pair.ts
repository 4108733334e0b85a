/**
 * The bench's two guests in the real engine whose hosts hand to each other, with no kernel between: what suspending, lifting out of
 * one memory and lowering into the other cost by themselves.
 */
import { createEngine } from '../../kernel/hart/create-engine.ts';
import type { Delivery, ProcessHost } from '../../kernel/process-host.ts';
import { delivery, OUR, RecordingHost } from '../support/engine-host.ts';
import { countBody, echoGuest, guest } from './guests.ts';

type Wake = (delivery: Delivery) => void;

export interface EnginePair extends Disposable {
  /** Resolves after that many round trips. */
  exchange(roundTrips: number): Promise<void>;
}

class Echo extends RecordingHost {
  wake: Wake = () => undefined;
  answer: Wake = () => undefined;

  override receive(wake: Wake): undefined {
    this.wake = wake;
  }

  override sendResponse(...[response]: Parameters<ProcessHost['sendResponse']>): void {
    this.answer({
      kind: 'message',
      source: OUR,
      message: { kind: 'response', response, context: undefined },
    });
  }
}

class Requester extends RecordingHost {
  readonly #echo: Echo;
  wake: Wake | undefined;
  done = (): void => undefined;
  ready = (): void => undefined;

  constructor(echo: Echo) {
    super();
    this.#echo = echo;
  }

  override receive(wake: Wake): undefined {
    this.wake = wake;
    this.ready();
  }

  override sendAndAwaitResponse(
    ...[, request, , wake]: Parameters<ProcessHost['sendAndAwaitResponse']>
  ): undefined {
    this.#echo.answer = wake;
    this.#echo.wake({ kind: 'message', source: OUR, message: { kind: 'request', request } });
  }

  override sendResponse(): void {
    this.done();
  }
}

export async function enginePair(): Promise<EnginePair> {
  const { engine, ...owned } = createEngine();
  const echo = new Echo();
  const requester = new Requester(echo);
  engine.start(await engine.load(await echoGuest()), OUR, echo);
  const ready = new Promise<void>((resolve) => (requester.ready = resolve));
  engine.start(await engine.load(await guest('requester.wat')), OUR, requester);
  await ready;
  return {
    exchange: (roundTrips) =>
      new Promise((resolve) => {
        requester.done = resolve;
        requester.wake?.(delivery(countBody(roundTrips)));
      }),
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}
