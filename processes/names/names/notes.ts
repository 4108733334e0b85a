/** Notes as people read them. Anybody writes notes: what is shown of each is bounded, and what it should mean is checked. */
import {
  decodeChainId,
  decodeInstanceAddress,
  decodeIp,
  decodeNetKey,
  decodePort,
  decodeRouters,
  fromHex,
  type Hex,
} from '../../lib/hypermap.ts';
import type { Note } from '../shared/wire.ts';

/** Notes of one name that are kept and shown; the earliest go first. */
export const NOTES_MAX = 200;
/** Bytes of a note's data that a page is told; a fact may have 128 KiB. */
export const SHOWN_BYTES_MAX = 256;

/** What registration writes (hypermap.md §11): asked for one by one where a provider hands out no history. */
export const NODE_LABELS = ['~net-key', '~ip', '~ws-port', '~tcp-port', '~routers'] as const;

const MEANINGS: Readonly<Record<string, (data: string) => string | undefined>> = {
  '~net-key': decodeNetKey,
  '~ip': decodeIp,
  '~ws-port': (data) => decodePort(data)?.toString(),
  '~tcp-port': (data) => decodePort(data)?.toString(),
  '~routers': routersText,
  '!chain-id': (data) => decodeChainId(data)?.toString(),
  '!address': decodeInstanceAddress,
};

export function shownNote(label: string, data: Hex, block: number | undefined): Note {
  const bytes = fromHex(data) ?? new Uint8Array();
  const means = bytes.length === 0 ? 'emptied' : (MEANINGS[label] ?? utf8Text)(data);
  return {
    label,
    means: means?.slice(0, SHOWN_BYTES_MAX),
    data: data.slice(0, 2 + 2 * SHOWN_BYTES_MAX),
    bytes: bytes.length,
    block,
  };
}

function routersText(data: string): string | undefined {
  const { length } = decodeRouters(data);
  return length === 0 ? undefined : `${length} ${length === 1 ? 'router' : 'routers'}`;
}

/** Text, if it is some: no bytes that are no UTF-8, and nothing that moves a cursor. */
function utf8Text(data: string): string | undefined {
  const bytes = fromHex(data) ?? new Uint8Array();
  const cut = bytes.length > SHOWN_BYTES_MAX;
  const text = new TextDecoder().decode(bytes.subarray(0, SHOWN_BYTES_MAX));
  // A character that was cut in two is no fault of the text.
  const whole = cut ? text.replace(/\uFFFD$/, '') : text;
  return /[^\P{Cc}\t\n]|\uFFFD/u.test(whole) ? undefined : whole;
}
