/**
 * `standard` over the generic canonical ABI's values (hart/abi/types.ts): for components whose options the lean bindings don't cover
 * (findings.md F9), and, behind jco's generated lowering, the reference the lean ones are tested against.
 */
import type { Delivery, ProcessHost } from '../../process-host.ts';
import { Trap } from '../../process-host.ts';
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
} from '../../../wit/types.ts';
import { processIdParts } from './address-cache.ts';
import type { GenerationTraits } from './bindings.ts';

interface ProcessIdValue {
  processName: string;
  packageName: string;
  publisherNode: string;
}
interface AddressValue {
  node: string;
  process: ProcessIdValue;
}
interface CapabilityValue {
  issuer: AddressValue;
  params: string;
}
interface BlobValue {
  mime?: string | undefined;
  bytes: Uint8Array;
}
interface RequestValue {
  inherit: boolean;
  expectsResponse?: bigint | undefined;
  body: Uint8Array;
  metadata?: string | undefined;
  capabilities: CapabilityValue[];
}
type ResponseValue = Omit<RequestValue, 'expectsResponse'>;
type OnExitValue =
  | { tag: 'none' | 'restart' }
  | { tag: 'requests'; val: [AddressValue, RequestValue, BlobValue | undefined][] };
type OutgoingValue = [AddressValue, RequestValue, Uint8Array | undefined, BlobValue | undefined];

/** A host function over values: one argument per WIT parameter, a WIT result as `{ tag, val }`, or a promise of it. */
export type ValueFunction = (args: readonly unknown[]) => unknown;

/** `standard` by WIT function name. Arguments are of their WIT types: the caller lifted them. */
export function standardValues(
  host: ProcessHost,
  traits: GenerationTraits,
): Readonly<Record<string, ValueFunction>> {
  const error = (sent: SendError): object => ({
    kind: sent.kind,
    ...(traits.sendErrorTarget ? { target: addressValue(sent.target) } : {}),
    message: messageValue(sent.message),
    lazyLoadBlob: blobValue(sent.blob),
  });
  const delivery = (got: Delivery): object =>
    got.kind === 'message'
      ? { tag: 'ok', val: [addressValue(got.source), messageValue(got.message)] }
      : { tag: 'err', val: [error(got.error), got.context] };
  const awaited = (got: Delivery): object =>
    got.kind === 'message'
      ? { tag: 'ok', val: [addressValue(got.source), messageValue(got.message)] }
      : { tag: 'err', val: error(got.error) };
  return {
    'print-to-terminal': ([verbosity, text]) =>
      host.printToTerminal(verbosity as number, text as string),
    our: () => addressValue(host.our()),
    'get-on-exit': () => onExitValue(host.getOnExit()),
    'set-on-exit': ([onExit]) => host.setOnExit(onExitOf(onExit as OnExitValue)),
    'get-state': () => host.getState(),
    'set-state': ([bytes]) => host.setState(owned(bytes as Uint8Array)),
    'clear-state': () => host.clearState(),
    spawn: async ([name, path, onExit, requests, grants, isPublic]) => {
      const spawned = await host.spawn({
        name: name as string | undefined,
        wasmPath: path as string,
        onExit: onExitOf(onExit as OnExitValue),
        requestCapabilities: capabilitiesOf(requests as CapabilityValue[]),
        grantCapabilities: (grants as (ProcessIdValue | [ProcessIdValue, string])[]).map((grant) =>
          Array.isArray(grant)
            ? { process: processIdOf(grant[0]), params: grant[1] }
            : { process: processIdOf(grant), params: '"messaging"' },
        ),
        public: isPublic as boolean,
      });
      return spawned.ok
        ? { tag: 'ok', val: processIdValue(spawned.value) }
        : { tag: 'err', val: spawned.error };
    },
    'save-capabilities': ([list]) =>
      host.saveCapabilities(capabilitiesOf(list as CapabilityValue[])),
    'drop-capabilities': ([list]) =>
      host.dropCapabilities(capabilitiesOf(list as CapabilityValue[])),
    'our-capabilities': async () => (await host.ourCapabilities()).map(capabilityValue),
    receive: () => {
      const { promise, resolve } = Promise.withResolvers<object>();
      const now = host.receive((got) => resolve(delivery(got)));
      return now === undefined ? promise : delivery(now);
    },
    'has-blob': () => host.hasBlob(),
    'get-blob': () => blobValue(host.getBlob()),
    'last-blob': () => blobValue(host.lastBlob()),
    'send-request': ([target, request, context, blob]) =>
      host.sendRequest(outgoingOf([target, request, context, blob] as OutgoingValue)),
    'send-requests': ([list]) => host.sendRequests((list as OutgoingValue[]).map(outgoingOf)),
    'send-response': ([response, blob]) =>
      host.sendResponse(
        responseOf(response as ResponseValue),
        blobOf(blob as BlobValue | undefined),
      ),
    'send-and-await-response': ([target, request, blob]) => {
      const { promise, resolve, reject } = Promise.withResolvers<object>();
      const now = host.sendAndAwaitResponse(
        addressOf(target as AddressValue),
        requestOf(request as RequestValue),
        blobOf(blob as BlobValue | undefined),
        (got) => (got instanceof Trap ? reject(got) : resolve(awaited(got))),
      );
      return now === undefined ? promise : awaited(now);
    },
  };
}

function processIdValue(id: ProcessId): ProcessIdValue {
  const [processName, packageName, publisherNode] = processIdParts(id);
  return { processName, packageName, publisherNode };
}

function addressValue(address: Address): AddressValue {
  return { node: address.node, process: processIdValue(address.process) };
}

function capabilityValue(capability: Capability): CapabilityValue {
  return { issuer: addressValue(capability.issuer), params: capability.params };
}

function blobValue(blob: LazyLoadBlob | undefined): BlobValue | undefined {
  return blob === undefined ? undefined : { mime: blob.mime, bytes: blob.bytes };
}

function responseValue(response: Response): ResponseValue {
  return {
    inherit: response.inherit,
    body: response.body,
    metadata: response.metadata,
    capabilities: response.capabilities.map(capabilityValue),
  };
}

function requestValue(request: Request): RequestValue {
  return {
    ...responseValue(request),
    expectsResponse:
      request.expectsResponse === undefined ? undefined : BigInt(request.expectsResponse),
  };
}

function messageValue(message: Message): object {
  return message.kind === 'request'
    ? { tag: 'request', val: requestValue(message.request) }
    : { tag: 'response', val: [responseValue(message.response), message.context] };
}

function onExitValue(onExit: OnExit): OnExitValue {
  if (onExit.kind !== 'requests') return { tag: onExit.kind };
  return {
    tag: 'requests',
    val: onExit.requests.map((one) => [
      addressValue(one.target),
      requestValue(one.request),
      blobValue(one.blob),
    ]),
  };
}

function processIdOf(value: ProcessIdValue): ProcessId {
  return `${value.processName}:${value.packageName}:${value.publisherNode}` as ProcessId;
}

function addressOf(value: AddressValue): Address {
  return { node: value.node, process: processIdOf(value.process) };
}

function capabilitiesOf(list: readonly CapabilityValue[]): Capability[] {
  return list.map(({ issuer, params }) => ({ issuer: addressOf(issuer), params }));
}

/** Lifted lists may be views of guest memory; what the kernel keeps must not be. */
function owned(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

function blobOf(value: BlobValue | undefined): LazyLoadBlob | undefined {
  return value === undefined ? undefined : { mime: value.mime, bytes: owned(value.bytes) };
}

function responseOf(value: ResponseValue): Response {
  return {
    inherit: value.inherit,
    body: owned(value.body),
    metadata: value.metadata,
    capabilities: capabilitiesOf(value.capabilities),
  };
}

function requestOf(value: RequestValue): Request {
  return { ...responseOf(value), expectsResponse: secondsOf(value.expectsResponse) };
}

function secondsOf(seconds: bigint | undefined): U64 | undefined {
  if (seconds === undefined) return undefined;
  return seconds <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seconds) : seconds;
}

function outgoingOf([target, request, context, blob]: OutgoingValue): OutgoingRequest {
  return {
    target: addressOf(target),
    request: requestOf(request),
    context: context === undefined ? undefined : owned(context),
    blob: blobOf(blob),
  };
}

function onExitOf(value: OnExitValue): OnExit {
  if (value.tag !== 'requests') return { kind: value.tag };
  return {
    kind: 'requests',
    requests: value.val.map(([target, request, blob]) => ({
      target: addressOf(target),
      request: requestOf(request),
      blob: blobOf(blob),
    })),
  };
}
