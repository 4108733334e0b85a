/** What the oracle hands to the facilitator, as it is kept until then. */
import { addressText, signatureText, structCodec } from '../../../contracts/compute-json.ts';
import { list, record, text, union, type Decoded } from '../../../wit/codec.ts';

const signatures = list(record({ signer: addressText, signature: text }));
const signedReceipt = { receipt: structCodec('JobReceipt'), signature: signatureText } as const;

const codec = union({
  Propose: record({ ...signedReceipt, verdict: structCodec('Verdict'), signatures }),
  Reject: record({ verdict: structCodec('Verdict'), signatures }),
  Convict: record({ ...signedReceipt, resolution: structCodec('Resolution'), signatures }),
});
export type HandOver = Decoded<typeof codec>;

export function encodeHandOver(value: HandOver): string {
  return codec.stringify(value);
}

export function handOver(kept: string): HandOver {
  const decoded = codec.decode(kept);
  if (!decoded.ok) throw new Error(`a kept verdict is damaged at ${decoded.error.path}`);
  return decoded.value;
}
