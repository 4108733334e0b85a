/**
 * A development node's name on the chain that it shares with others (networking.md §15, hypermap §10): minted under `os`, or given new notes
 * when it is there, so that nodes of one development chain find each other as real ones do. Only node.ts calls it.
 */
import { HYPERMAP, OWNER, REFERENCE_OS_TBA } from '../contracts/addresses.ts';
import { decodeGet, encodeGet } from '../contracts/calls.ts';
import { rpcAt, type Rpc } from '../contracts/chain/rpc.ts';
import { labelKind, namehash } from '../contracts/hypermap.ts';
import {
  mintTransaction,
  notesOf,
  resetTransaction,
} from '../runtime-modules/identity/registration/transactions.ts';
import type { Ports } from '../runtime-modules/identity/routing.ts';
import type { EmbeddedChain } from './chain.ts';
import { type ChainConfig, placeOf } from './chain-reads.ts';

const ZONE = '.os';
/** Where development nodes are reached. */
const IP = '127.0.0.1';
const NOBODY = /^0x0+$/;

export interface FakeName {
  readonly name: string;
  readonly publicKeyHex: string;
  readonly ports: Ports;
}

export interface SharingParts {
  readonly chain: EmbeddedChain;
  readonly config: ChainConfig;
  /** A line for the owner. */
  readonly tell: (text: string) => void;
}

/** Puts the name on the chain as soon as there is one. The node is up before, and says how it went until this is disposed of. */
export function beginSharing(name: FakeName, { chain, config, tell }: SharingParts): Disposable {
  let closed = false;
  const share = async (): Promise<void> => {
    const url = await chain.url;
    // Why there is none has been told.
    if (url === undefined || closed) return;
    const reason = await publishName(url.replace(/^ws/, 'http'), name, config).then(
      () => undefined,
      (error: unknown) => (error as Error).message,
    );
    if (closed) return;
    if (reason === undefined) {
      if (isShared(name.name, config)) tell(`nodes that share its chain find it as ${name.name}`);
    } else tell(`${name.name} is not on the chain: ${reason}`);
  };
  void share();
  return {
    [Symbol.dispose]() {
      closed = true;
    },
  };
}

/** Whether a development node of this name goes on its chain: it is directly under `os`. */
export function hasPlace(name: string): boolean {
  return name.endsWith(ZONE) && labelKind(name.slice(0, -ZONE.length)) === 'name';
}

/** Whether others are to find it there. */
export function isShared(name: string, { fakechainPort }: ChainConfig): boolean {
  return fakechainPort !== undefined && hasPlace(name);
}

/**
 * Mints the name for account 0, or overwrites the notes of one that it has.
 * @throws ChainError when the chain does not answer, or the name is somebody else's
 */
export async function publishName(
  url: string,
  { name, publicKeyHex, ports }: FakeName,
  config: ChainConfig,
): Promise<void> {
  const notes = notesOf({ netKey: publicKeyHex, routing: { kind: 'direct', ip: IP, ports } });
  if (notes === undefined) throw new TypeError(`no notes of ports ${JSON.stringify(ports)}`);
  const rpc = rpcAt(url);
  const place = placeOf(config);
  const tba = await accountOf(rpc, name);
  const transaction =
    tba === undefined
      ? mintTransaction({
          place,
          zoneTba: REFERENCE_OS_TBA,
          label: name.slice(0, -ZONE.length),
          wallet: OWNER,
          notes,
          asZone: false,
        })
      : resetTransaction(place, tba, notes);
  await rpc.send({ from: OWNER, ...transaction });
}

/** Undefined: nobody has that name. */
async function accountOf(rpc: Rpc, name: string): Promise<string | undefined> {
  const call = { to: HYPERMAP, data: encodeGet(namehash(name)) };
  const entry = decodeGet(String(await rpc.request('eth_call', call, 'latest')));
  if (!entry.ok) throw new TypeError(entry.error);
  return NOBODY.test(entry.value.tba) ? undefined : entry.value.tba;
}
