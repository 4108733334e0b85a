/**
 * The network, through `net:distro:sys` (networking.md §11). `import … from 'hyperware/net'`. Who only talks to processes of other nodes needs
 * none of this: they are targets like any other. What is larger than one message is for `hyperware/large`.
 */
import { processId } from '../../wit/address.ts';
import type { Address } from '../../wit/types.ts';
import {
  decodeNetResponse,
  encodeNetAction,
  type NetAction,
  type NetIdentity,
  type NetResponse,
} from '../../wit/net-api.ts';
import { type Caller, mayMessage, ModuleError } from './modules.ts';
import type { Reply } from './conversation.ts';
import { NoResponse } from './errors.ts';

export type { NetIdentity, Routing } from '../../wit/net-api.ts';

const NET = processId('net:distro:sys');
/** Seconds that a question to this node's net takes at most, unless told otherwise. */
export const NET_TIMEOUT_S = 5;
/** Seconds that another node has to answer `hi`: a connection may have to be made, through a router. */
export const HI_TIMEOUT_S = 15;

/** `code`: `NoMessaging` when the manifest does not request `net:distro:sys`, `BadResponse` when net answers something else. */
export class NetError extends ModuleError {
  override readonly name = 'NetError';
}

export interface NetCallOptions {
  /** Seconds until `NoResponse`. */
  readonly timeoutS?: number;
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Greets a node: its owner sees the text at the console.
 * @returns what it answered; `ack`, of every node that is up
 * @throws NoResponse (`offline`, `timeout`); NetError
 */
export async function hi(
  caller: Caller,
  node: string,
  text: string,
  options: NetCallOptions = {},
): Promise<string> {
  const target = { node, process: NET };
  const bytes = new TextEncoder().encode(text);
  const { body } = await ask(caller, `hi ${node}`, { target, bytes, options }, HI_TIMEOUT_S);
  return new TextDecoder().decode(body);
}

/** Who a node is and how it is reached, as this node knows it; undefined when it does not. @throws NetError; NoResponse */
export async function peer(
  caller: Caller,
  node: string,
  options: NetCallOptions = {},
): Promise<NetIdentity | undefined> {
  return (await call(caller, { kind: 'GetPeer', value: node }, 'Peer', { options })).answer.value;
}

/** The nodes that this one is connected with, in no order. @throws NetError; NoResponse */
export async function peers(
  caller: Caller,
  options: NetCallOptions = {},
): Promise<readonly NetIdentity[]> {
  return (await call(caller, { kind: 'GetPeers' }, 'Peers', { options })).answer.value;
}

/** What an owner wants to know when the network does not work: lines of text. @throws NetError; NoResponse */
export async function diagnostics(caller: Caller, options: NetCallOptions = {}): Promise<string> {
  return (await call(caller, { kind: 'GetDiagnostics' }, 'Diagnostics', { options })).answer.value;
}

/**
 * Signs bytes as this process of this node: the signature covers the process's address too.
 * @param bytes 64 MiB at most
 * @returns 64 bytes, for `verify`
 * @throws NetError; NoResponse
 */
export async function sign(
  caller: Caller,
  bytes: Uint8Array,
  options: NetCallOptions = {},
): Promise<Uint8Array> {
  const { blob } = await call(caller, { kind: 'Sign' }, 'Signed', { options, blob: bytes });
  if (blob === undefined) throw new NetError('BadResponse', 'Sign', 'it came without a signature');
  return blob;
}

/** Whether `signature` is what the process at `from` gets by `sign(bytes)`; false for a node that is not known. @throws NetError; NoResponse */
export async function verify(
  caller: Caller,
  from: Address,
  signed: { readonly bytes: Uint8Array; readonly signature: Uint8Array },
  options: NetCallOptions = {},
): Promise<boolean> {
  const action = { kind: 'Verify', value: { from, signature: signed.signature } } as const;
  const { answer } = await call(caller, action, 'Verified', { options, blob: signed.bytes });
  return answer.value;
}

type AnswerOf<K extends NetResponse['kind']> = Extract<NetResponse, { readonly kind: K }>;

async function call<K extends NetResponse['kind']>(
  caller: Caller,
  action: NetAction,
  expected: K,
  { options, blob }: { readonly options: NetCallOptions; readonly blob?: Uint8Array },
): Promise<{ readonly answer: AnswerOf<K>; readonly blob: Uint8Array | undefined }> {
  const bytes = encodeNetAction(action);
  const asked = { target: NET, bytes, options, blob };
  const reply = await ask(caller, action.kind, asked, NET_TIMEOUT_S);
  const answer = decodeNetResponse(reply.body);
  if (answer?.kind !== expected) throw new NetError('BadResponse', action.kind, answer?.kind);
  // Proof of the type: its kind was compared.
  return { answer: answer as AnswerOf<K>, blob: reply.blob?.bytes };
}

async function ask(
  caller: Caller,
  what: string,
  asked: {
    readonly target: Address | string;
    readonly bytes: Uint8Array;
    readonly options: NetCallOptions;
    readonly blob?: Uint8Array | undefined;
  },
  defaultS: number,
): Promise<Reply> {
  const { timeoutS = defaultS, signal } = asked.options;
  const blob = asked.blob && { mime: undefined, bytes: asked.blob };
  try {
    return await caller.request(asked.target, asked.bytes, { timeoutS, signal, blob });
  } catch (error) {
    if (error instanceof NoResponse && typeof asked.target === 'string' && !mayMessage(caller, NET))
      throw new NetError('NoMessaging', what, `the manifest's request_capabilities lack "${NET}"`);
    throw error;
  }
}
