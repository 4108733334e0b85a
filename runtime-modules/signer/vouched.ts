/** Records that this node knows for its own: a text with a code under the file key. */
import { record, text } from '../../wit/codec.ts';
import type { Sealer } from './sealed-key.ts';

const file = record({ seal: text, record: text, mac: text });

/** The file's bytes. */
export function vouch(sealer: Sealer, content: Uint8Array): Uint8Array {
  const mac = sealer.mac(content);
  return file.encode({ seal: sealer.id, record: Buffer.from(content).toString(), mac });
}

/** The text; undefined: not what was written, or under another file key. */
export function readVouched(sealer: Sealer, bytes: Uint8Array): string | undefined {
  const outer = file.decode(bytes);
  return outer.ok && outer.value.mac === sealer.mac(Buffer.from(outer.value.record))
    ? outer.value.record
    : undefined;
}
