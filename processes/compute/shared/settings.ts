/**
 * Where this node's money is: `initfiles/compute.json` in the package's drive. A development node writes it for its embedded chain; for
 * others the owner does. docs/compute.md
 */
import { addressText, hashText, wideNumber } from '../../../contracts/compute-json.ts';
import { list, option, record, text, u32, type Decoded } from '../../../wit/codec.ts';
import type { Result } from '../../../wit/types.ts';
import type { Caller } from '../../lib/modules.ts';
import { drive } from '../../lib/vfs.ts';

const file = record({
  chain_id: u32,
  escrow: addressText,
  registry: addressText,
  verifiers: addressText,
  token: addressText,
  token_name: text,
  token_version: text,
  vault_init_hash: hashText,
  /** Nothing of the contracts happened before. */
  first_block: u32,
  /** Blocks, its own included, after which a transaction counts; default 1. */
  confirmations: option(u32),
  /** The signer's key that sends transactions, by name; default `platform`. */
  key: option(text),
  /** The most that is taken for one job; default 100,000 HYPER. */
  amount_max: option(wideNumber),
  fund_window_s: option(u32),
  challenge_window_s: option(u32),
  /** The signer's key that signs verdicts, by name; default `verifier`. */
  verifier_key: option(text),
  /** Nodes whose oracles sign with ours, and we with them. */
  peers: option(list(text)),
  /** Nodes that have to differ from a result before it counts as false; default 2. */
  auditors: option(u32),
  /** Verdicts that are signed in a minute; what is above waits, and the owner is told. Default 60. */
  verdicts_per_minute: option(u32),
});

type Given = Decoded<typeof file>;
/** The file, with what it leaves out. */
export type Settings = { readonly [K in keyof Given]: NonNullable<Given[K]> };

export const SETTINGS_FILE = 'compute.json';
const AMOUNT_MAX = 100_000_000_000n;
const FUND_WINDOW_S = 3_600;
const CHALLENGE_WINDOW_S = 600;
const AUDITORS = 2;
const VERDICTS_PER_MINUTE = 60;

/** What the owner should know, where there are none. */
export async function readSettings(process: Caller): Promise<Result<Settings, string>> {
  const files = await drive(process, 'initfiles');
  if (!(await files.exists(SETTINGS_FILE)))
    return { ok: false, error: `no chain is set: there is no initfiles/${SETTINGS_FILE}` };
  const read = file.decode(await files.read(SETTINGS_FILE));
  if (!read.ok) {
    const { path, expected } = read.error;
    return {
      ok: false,
      error: `initfiles/${SETTINGS_FILE}: ${path || 'the whole'} is no ${expected}`,
    };
  }
  const { value } = read;
  return {
    ok: true,
    value: {
      ...value,
      confirmations: Math.max(1, value.confirmations ?? 1),
      key: value.key ?? 'platform',
      amount_max: value.amount_max ?? AMOUNT_MAX,
      fund_window_s: value.fund_window_s ?? FUND_WINDOW_S,
      challenge_window_s: value.challenge_window_s ?? CHALLENGE_WINDOW_S,
      verifier_key: value.verifier_key ?? 'verifier',
      peers: value.peers ?? [],
      auditors: Math.max(1, value.auditors ?? AUDITORS),
      verdicts_per_minute: value.verdicts_per_minute ?? VERDICTS_PER_MINUTE,
    },
  };
}
