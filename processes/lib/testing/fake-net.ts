/** `net:distro:sys` in memory, for tests of processes: this node's, and for `hi` that of others. It speaks through wit/net-api.ts. */
import { formatAddress } from '../../../wit/address.ts';
import {
  decodeNetAction,
  encodeNetResponse,
  type NetIdentity,
  type NetResponse,
} from '../../../wit/net-api.ts';
import type { Address } from '../../../wit/types.ts';
import type { MemoryHost, Peer, PeerAnswer } from './memory-host.ts';

const SIGNATURE_BYTES = 64;

export class FakeNet {
  /** Every node that is known, by name. */
  readonly known = new Map<string, NetIdentity>();
  /** Those of them that this node is connected with; the others do not answer `hi`. */
  readonly connected = new Set<string>();
  /** What was said by `hi`, and to whom. */
  readonly hellos: { readonly node: string; readonly text: string }[] = [];
  diagnostics = 'all is well';

  readonly peer: Peer = (sent, host) => {
    const { node } = sent.target;
    if (node !== host.our().node) return this.#greet(node, sent.request.body);
    const action = decodeNetAction(sent.request.body);
    switch (action?.kind) {
      case 'GetPeer':
        return answer({ kind: 'Peer', value: this.known.get(action.value) });
      case 'GetPeers': {
        const value = [...this.connected].flatMap((name) => this.known.get(name) ?? []);
        return answer({ kind: 'Peers', value });
      }
      case 'GetDiagnostics':
        return answer({ kind: 'Diagnostics', value: this.diagnostics });
      case 'Sign': {
        const signature = fingerprint(host.our(), sent.blob?.bytes);
        return { body: encodeNetResponse({ kind: 'Signed' }), blob: signature };
      }
      case 'Verify':
        return answer({ kind: 'Verified', value: this.#verifies(action.value, sent, host) });
      default:
        // Silence, as of the module: nobody is told why.
        return undefined;
    }
  };

  /** Makes a node known and connected. */
  connect(identity: NetIdentity): void {
    this.known.set(identity.name, identity);
    this.connected.add(identity.name);
  }

  #greet(node: string, body: Uint8Array): PeerAnswer | undefined {
    if (!this.connected.has(node)) return undefined;
    this.hellos.push({ node, text: new TextDecoder().decode(body) });
    return 'ack';
  }

  #verifies(
    { from, signature }: { readonly from: Address; readonly signature: Uint8Array },
    sent: Parameters<Peer>[0],
    host: MemoryHost,
  ): boolean {
    if (from.node !== host.our().node && !this.known.has(from.node)) return false;
    const expected = fingerprint(from, sent.blob?.bytes);
    return expected.length === signature.length && expected.every((b, at) => b === signature[at]);
  }
}

/** Differs with every byte of the address and of what is signed; no secret is behind it. */
function fingerprint(from: Address, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const out = new Uint8Array(SIGNATURE_BYTES);
  const signed = [...new TextEncoder().encode(formatAddress(from)), ...bytes];
  for (const [at, byte] of signed.entries()) {
    const to = at % SIGNATURE_BYTES;
    out[to] = (Math.imul(out[to] ?? 0, 31) + byte + 1) & 255;
  }
  return out;
}

function answer(response: NetResponse): Uint8Array {
  return encodeNetResponse(response);
}
