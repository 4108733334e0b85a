/**
 * A module's part of the node's file descriptors, as fd-manager divides them (runtime-modules.md §12): asked for with the module's
 * first work, and reported whenever it was too small.
 */
import type { KernelPort, ModuleRequest } from '../../kernel/module.ts';
import { FD_MANAGER } from '../../wit/address.ts';
import { fdManagerRequest } from '../../wit/fd-manager-api.ts';
import { plainRequest } from '../../wit/message.ts';
import { decodeBody } from './refuse.ts';

/** A limit is one number. */
const BODY_BYTES_MAX = 1_024;

export class DescriptorShare {
  readonly #port: KernelPort;
  #asked = false;

  constructor(port: KernelPort) {
    this.#port = port;
  }

  /** Asks once. With the first work, when fd-manager is surely there: modules have no other moment of their own. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#tell('RequestFdsLimit');
  }

  /** More descriptors would have been of use. */
  hit(): void {
    this.#tell('FdsLimitHit');
  }

  /** The descriptors that a request grants, if it is fd-manager's. */
  limitIn({ source, body }: ModuleRequest): number | undefined {
    if (source.process !== FD_MANAGER) return undefined;
    const request = decodeBody(fdManagerRequest, body, BODY_BYTES_MAX);
    return request.ok && request.value.kind === 'FdsLimit'
      ? Number(request.value.value)
      : undefined;
  }

  #tell(kind: 'RequestFdsLimit' | 'FdsLimitHit'): void {
    this.#port.send({
      target: { node: this.#port.our.node, process: FD_MANAGER },
      rsvp: undefined,
      message: { kind: 'request', request: plainRequest(fdManagerRequest.encode({ kind })) },
      blob: undefined,
    });
  }
}
