/** The host of a component: the WIT imports, with the differences between JavaScript engines evened out (dependencies.md §1). */
import * as standard from 'hyperware:process/standard@1.0.0';
import type {
  Address,
  Capability,
  LazyLoadBlob,
  Message,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  SendError,
  U64,
} from '../../wit/types.ts';
import type { Host } from './host.ts';

export const witHost: Host = {
  our: () => (ourselves ??= addressFrom(standard.our())),
  print: standard.printToTerminal,
  getOnExit: () => onExitFrom(standard.getOnExit()),
  setOnExit: (onExit) => standard.setOnExit(onExitTo(onExit)),
  getState: () => standard.getState() ?? undefined,
  setState: standard.setState,
  clearState: standard.clearState,
  spawn(options) {
    try {
      const id = standard.spawn(
        options.name ?? null,
        options.wasmPath,
        onExitTo(options.onExit),
        options.requestCapabilities.map(capabilityTo),
        options.grantCapabilities.map(({ process, params }) => [processTo(process), params]),
        options.public,
      );
      return { ok: true, value: processFrom(id) };
    } catch (error) {
      const reason = payloadOf(error);
      if (reason === 'name-taken' || reason === 'no-file-at-path') {
        return { ok: false, error: reason };
      }
      throw error;
    }
  },
  saveCapabilities: (capabilities) => standard.saveCapabilities(capabilities.map(capabilityTo)),
  dropCapabilities: (capabilities) => standard.dropCapabilities(capabilities.map(capabilityTo)),
  ourCapabilities: () => standard.ourCapabilities().map(capabilityFrom),
  receive() {
    try {
      // By index: taking a list apart makes an iterator, which costs as much as the whole rest here.
      const received = standard.receive();
      const source = addressFrom(received[0]);
      return { kind: 'message', source, message: messageFrom(received[1]) };
    } catch (error) {
      // Proof of the type: the only error that the contract gives `receive`.
      const payload = payloadOf(error) as
        | [standard.WireSendError, Uint8Array | null | undefined]
        | undefined;
      if (payload === undefined) throw error;
      return {
        kind: 'send-error',
        error: sendErrorFrom(payload[0]),
        context: payload[1] ?? undefined,
      };
    }
  },
  hasBlob: standard.hasBlob,
  getBlob: () => blobFrom(standard.getBlob()),
  lastBlob: () => blobFrom(standard.lastBlob()),
  sendRequest: ({ target, request, context, blob }) =>
    standard.sendRequest(addressTo(target), requestTo(request), context, blob),
  sendRequests: (requests) => standard.sendRequests(requests.map(outgoingTo)),
  sendResponse: (response, blob) => standard.sendResponse(responseTo(response), blob),
  sendAndAwaitResponse(target, request, blob) {
    try {
      const received = standard.sendAndAwaitResponse(addressTo(target), requestTo(request), blob);
      const source = addressFrom(received[0]);
      return { ok: true, value: { source, message: messageFrom(received[1]) } };
    } catch (error) {
      const payload = payloadOf(error) as standard.WireSendError | undefined;
      if (payload === undefined) throw error;
      return { ok: false, error: sendErrorFrom(payload) };
    }
  },
};

/** A `result`'s error, which both engines throw as an Error with a payload; undefined for an error of any other kind. */
function payloadOf(error: unknown): unknown {
  return error instanceof Error && 'payload' in error ? error.payload : undefined;
}

/** It never changes, and asking costs as much as a whole delivery of the kernel's own. */
let ourselves: Address | undefined;

// ---- from the wire

function processFrom({
  processName,
  packageName,
  publisherNode,
}: standard.WireProcessId): ProcessId {
  return `${processName}:${packageName}:${publisherNode}` as ProcessId;
}

/** Addresses that are remembered, of each direction. A process hears of few others; making one costs a twentieth of a delivery. */
const ADDRESSES_MAX = 64;
/** By process: the address made last. */
const known = new Map<ProcessId, Address>();

/** The same object for the same address, as a rule. */
function addressFrom({ node, process: id }: standard.WireAddress): Address {
  const process = processFrom(id);
  const made = known.get(process);
  if (made !== undefined && made.node === node) return made;
  const address: Address = { node, process };
  if (known.size >= ADDRESSES_MAX) known.clear();
  known.set(process, address);
  return address;
}

function capabilityFrom({ issuer, params }: standard.WireCapability): Capability {
  return { issuer: addressFrom(issuer), params };
}

function blobFrom(blob: standard.WireBlob | null | undefined): LazyLoadBlob | undefined {
  return blob == null ? undefined : { mime: blob.mime ?? undefined, bytes: blob.bytes };
}

/** StarlingMonkey gives a bigint; both become a number where it is exact. QuickJS has lost the digits above 2^53 by then. */
function u64From(value: number | bigint | null | undefined): U64 | undefined {
  if (value == null) return undefined;
  return typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

/** What a message carries, in both kinds. Records are fresh with every message, so they are changed rather than copied. */
interface Carried {
  expectsResponse?: unknown;
  metadata?: unknown;
  capabilities: unknown;
}

function evenOut(record: Carried & { readonly capabilities: standard.WireCapability[] }): void {
  record.metadata ??= undefined;
  if (record.capabilities.length > 0) {
    const { capabilities } = record;
    (record as Carried).capabilities = capabilities.map(capabilityFrom);
  }
}

function requestFrom(request: standard.WireRequest): Request {
  const carried: Carried & standard.WireRequest = request;
  carried.expectsResponse = u64From(request.expectsResponse);
  evenOut(carried);
  // Proof of the type: every field that differs has been replaced.
  return request as unknown as Request;
}

function messageFrom({ tag, val }: standard.WireMessage): Message {
  if (tag === 'request') return { kind: 'request', request: requestFrom(val) };
  const response = val[0];
  evenOut(response);
  return {
    kind: 'response',
    // Proof of the type: as above.
    response: response as unknown as Response,
    context: val[1] ?? undefined,
  };
}

function sendErrorFrom(error: standard.WireSendError): SendError {
  return {
    kind: error.kind,
    target: addressFrom(error.target),
    message: messageFrom(error.message),
    blob: blobFrom(error.lazyLoadBlob),
  };
}

function onExitFrom(onExit: standard.WireOnExit): OnExit {
  if (onExit.tag !== 'requests') return { kind: onExit.tag };
  const requests = onExit.val.map(([target, request, blob]) => ({
    target: addressFrom(target),
    request: requestFrom(request),
    blob: blobFrom(blob),
  }));
  return { kind: 'requests', requests };
}

// ---- to the wire

function processTo(process: ProcessId): standard.WireProcessId {
  const [processName = '', packageName = '', publisherNode = ''] = process.split(':');
  return { processName, packageName, publisherNode };
}

/** By the object, which those who send often keep (`Process.resolve`). */
const lowered = new Map<Address, standard.WireAddress>();

function addressTo(address: Address): standard.WireAddress {
  const made = lowered.get(address);
  if (made !== undefined) return made;
  const wire = { node: address.node, process: processTo(address.process) };
  if (lowered.size >= ADDRESSES_MAX) lowered.clear();
  lowered.set(address, wire);
  return wire;
}

function capabilityTo({ issuer, params }: Capability): standard.WireCapability {
  return { issuer: addressTo(issuer), params };
}

// Of a record that has nothing to be changed, the record itself: both engines take undefined for `none`.

function requestTo(request: Request): standard.WireRequest {
  const { expectsResponse } = request;
  // Proof of the type: without capabilities their list is the same on both sides, and nobody changes it.
  if (request.capabilities.length === 0 && typeof expectsResponse !== 'bigint')
    return request as unknown as standard.WireRequest;
  const { inherit, body, metadata, capabilities } = request;
  return {
    inherit,
    // A bigint would trap a QuickJS component. No timeout needs the digits that a number lacks.
    expectsResponse: expectsResponse === undefined ? undefined : Number(expectsResponse),
    body,
    metadata,
    capabilities: capabilities.map(capabilityTo),
  };
}

function responseTo(response: Response): standard.WireResponse {
  // Proof of the type: as of requests.
  if (response.capabilities.length === 0) return response as unknown as standard.WireResponse;
  const { inherit, body, metadata, capabilities } = response;
  return { inherit, body, metadata, capabilities: capabilities.map(capabilityTo) };
}

function outgoingTo({
  target,
  request,
  context,
  blob,
}: OutgoingRequest): Parameters<typeof standard.sendRequests>[0][number] {
  return [addressTo(target), requestTo(request), context, blob];
}

function onExitTo(onExit: OnExit): standard.WireOnExit {
  if (onExit.kind !== 'requests') return { tag: onExit.kind };
  const val = onExit.requests.map(
    ({
      target,
      request,
      blob,
    }): [standard.WireAddress, standard.WireRequest, standard.WireBlob | undefined] => [
      addressTo(target),
      requestTo(request),
      blob,
    ],
  );
  return { tag: 'requests', val };
}
