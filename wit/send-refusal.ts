/**
 * Why a request was not sent at all, for requesters that look (extension; findings F24). The contract knows two kinds of send error and no
 * reasons: the kind stays `timeout`, as a requester of the reference sees it, and the request that comes back in the error has this, as JSON,
 * in the place of its metadata.
 */
import { type Decoded, record, u64, union } from './codec.ts';

/** `bytes`: of the message, as its receiver's node would have got it; at least, where it was not encoded to its end. */
const refusal = union({ TooLarge: record({ bytes: u64, bytes_max: u64 }) });
const told = record({ send_refusal: refusal });

export type SendRefusal = Decoded<typeof refusal>;

export function encodeSendRefusal(value: SendRefusal): string {
  return new TextDecoder().decode(told.encode({ send_refusal: value }));
}

/** Of the metadata of a request that came back; undefined where it is the requester's own. */
export function decodeSendRefusal(metadata: string | undefined): SendRefusal | undefined {
  if (metadata === undefined || !metadata.startsWith('{"send_refusal":')) return undefined;
  const decoded = told.decode(new TextEncoder().encode(metadata));
  return decoded.ok ? decoded.value.send_refusal : undefined;
}
