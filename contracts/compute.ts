/**
 * The compute market's signed documents (reference compute-market, sections 3.1, 6.3 and 6.6; findings F42): EIP-712 digests, ids of jobs,
 * where a plain transfer pays for one, and how a payout is shared. Pure, and free of dependencies but our keccak: runs in guests, browsers
 * and Node. Amounts are in a token's smallest unit, times in seconds since 1970, both as bigint.
 */
import { keccak256 } from '../wit/keccak.ts';
import { addressWord, bytes32Word, numberWord } from './calls.ts';
import { fromHex, toHex, type Hex } from './hex.ts';
import { checksummed } from './hypermap.ts';

/** How a member of a struct, or a value of an event, is written. */
export type WordType =
  | 'address'
  | 'bytes32'
  | 'bool'
  | 'int32'
  | `uint${8 | 16 | 32 | 64 | 128 | 256}`;

/** What stands for it here: what fits a number is one. */
export type WordValue<T extends WordType> = T extends 'address' | 'bytes32'
  ? string
  : T extends 'bool'
    ? boolean
    : T extends 'uint64' | 'uint128' | 'uint256'
      ? bigint
      : number;

/** Names and types, in the order in which they are encoded. */
export type Members = Readonly<Record<string, WordType>>;
/** A value of such a struct. */
export type StructOf<M extends Members> = { readonly [K in keyof M]: WordValue<M[K]> };

/** The structs that somebody signs, by the name that EIP-712 has for them. */
export const STRUCTS = {
  ComputeTerms: {
    client: 'address',
    token: 'address',
    amount: 'uint256',
    specHash: 'bytes32',
    nodeId: 'bytes32',
    platform: 'address',
    voucherSigner: 'address',
    fundBy: 'uint64',
    deadline: 'uint64',
    challengeWindow: 'uint32',
    mode: 'uint8',
    salt: 'bytes32',
  },
  Acceptance: {
    jobId: 'bytes32',
    nodeId: 'bytes32',
    attempt: 'uint32',
    payTo: 'address',
    price: 'uint256',
    expiresAt: 'uint64',
  },
  JobReceipt: {
    jobId: 'bytes32',
    nodeId: 'bytes32',
    attempt: 'uint32',
    specHash: 'bytes32',
    inputsRoot: 'bytes32',
    outputsRoot: 'bytes32',
    logsRoot: 'bytes32',
    stdoutHash: 'bytes32',
    runtimeHash: 'bytes32',
    usageHash: 'bytes32',
    exitCode: 'int32',
    status: 'uint8',
    startedAt: 'uint64',
    finishedAt: 'uint64',
    claimed: 'uint256',
  },
  Verdict: {
    jobId: 'bytes32',
    attempt: 'uint32',
    receiptHash: 'bytes32',
    outcome: 'uint8',
    scoreBps: 'uint16',
    checks: 'uint16',
    payout: 'uint256',
    issuedAt: 'uint64',
  },
  Resolution: {
    jobId: 'bytes32',
    receiptHash: 'bytes32',
    upheld: 'bool',
    payout: 'uint256',
    slash: 'uint256',
    evidenceHash: 'bytes32',
    issuedAt: 'uint64',
  },
  Voucher: {
    jobId: 'bytes32',
    attempt: 'uint32',
    cumulative: 'uint256',
    tokensIn: 'uint64',
    tokensOut: 'uint64',
  },
  Release: { jobId: 'bytes32', attempt: 'uint32' },
  /** In the registry's domain: an executor agrees to sign for a node. */
  Registration: { nodeId: 'bytes32', operator: 'address', executor: 'address' },
  /** In the registry's domain: verifiers give a slash back. */
  SlashCancel: { slashId: 'uint256' },
} as const satisfies Readonly<Record<string, Members>>;

export type StructName = keyof typeof STRUCTS;
export type Struct<N extends StructName> = StructOf<(typeof STRUCTS)[N]>;

export type ComputeTerms = Struct<'ComputeTerms'>;
export type Acceptance = Struct<'Acceptance'>;
export type JobReceipt = Struct<'JobReceipt'>;
export type Verdict = Struct<'Verdict'>;
export type Resolution = Struct<'Resolution'>;
export type Voucher = Struct<'Voucher'>;
export type Release = Struct<'Release'>;

/** `mode` of terms: the price is paid, what was used is paid, vouchers are paid. */
export const MODE = { exact: 0, metered: 1, session: 2 } as const;
/** `outcome` of verdicts. */
export const OUTCOME = { pay: 1, retry: 2, refund: 3 } as const;
/** `status` of receipts. */
export const RECEIPT_STATUS = {
  ok: 0,
  exitCode: 1,
  timeout: 2,
  outOfMemory: 3,
  outputLimit: 4,
  cancelled: 5,
  providerError: 6,
} as const;
/** States of a job in the escrow, by number. */
export const JOB_STATES = [
  'none',
  'funded',
  'assigned',
  'proposed',
  'disputed',
  'settled',
  'refunded',
] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Whose signatures: the escrow's domain, or the registry's for `Registration` and `SlashCancel`. */
export interface Domain {
  readonly name: 'HypernodeEscrow' | 'HypernodeRegistry';
  readonly chainId: number;
  readonly verifyingContract: string;
}

/** The domain of an escrow. */
export function escrowDomain(chainId: number, escrow: string): Domain {
  return { name: 'HypernodeEscrow', chainId, verifyingContract: escrow };
}

/** Of documents about jobs that nobody pays: no contract of any chain takes them. */
export const FREE_DOMAIN: Domain = escrowDomain(0, `0x${'00'.repeat(20)}`);

/** The domain of a registry. */
export function registryDomain(chainId: number, registry: string): Domain {
  return { name: 'HypernodeRegistry', chainId, verifyingContract: registry };
}

const VERSION = '1';
const DOMAIN_TYPE =
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)';
const encoder = new TextEncoder();
const typeHashes = new Map<string, string>();

/** `Voucher(bytes32 jobId,...)`: what EIP-712 hashes of a struct's type. */
export function typeOf(name: StructName): string {
  const members = Object.entries<WordType>(STRUCTS[name]);
  return `${name}(${members.map(([member, type]) => `${type} ${member}`).join(',')})`;
}

/** @throws RangeError when a member is not of its type */
export function structHash<N extends StructName>(name: N, value: Struct<N>): Hex {
  return keccakOf(typeHash(typeOf(name)) + structWords(name, value));
}

/** The separator of a domain. */
export function domainSeparator({ name, chainId, verifyingContract }: Domain): Hex {
  return keccakOf(
    [
      typeHash(DOMAIN_TYPE),
      typeHash(name),
      typeHash(VERSION),
      numberWord(BigInt(chainId), 'uint256'),
      addressWord(verifyingContract),
    ].join(''),
  );
}

/**
 * What is signed, and what stands for the document everywhere: of terms the job's id, of a receipt the receipt's hash.
 * @throws RangeError when a member is not of its type
 */
export function digestOf<N extends StructName>(domain: Domain, name: N, value: Struct<N>): Hex {
  return keccakOf(`1901${domainSeparator(domain).slice(2)}${structHash(name, value).slice(2)}`);
}

/** The id of the job with these terms. */
export function jobIdOf(domain: Domain, terms: ComputeTerms): Hex {
  return digestOf(domain, 'ComputeTerms', terms);
}

/** The same as a wallet asks for it (`eth_signTypedData_v4`): numbers as decimal text. */
export function typedDataOf<N extends StructName>(
  domain: Domain,
  name: N,
  value: Struct<N>,
): object {
  const values: Readonly<Record<string, unknown>> = value;
  const message: Record<string, unknown> = {};
  for (const member in STRUCTS[name]) {
    const one = values[member];
    message[member] = typeof one === 'bigint' ? one.toString() : one;
  }
  return {
    domain: { ...domain, version: VERSION },
    primaryType: name,
    types: typesOf(name),
    message,
  };
}

const DOMAIN_MEMBERS = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
] as const;
const typesMade = new Map<StructName, object>();

/** The same object each time: who writes it as JSON does so once (`Signer.typedDataDigest`). */
function typesOf(name: StructName): object {
  const made = typesMade.get(name);
  if (made !== undefined) return made;
  const members = Object.entries<WordType>(STRUCTS[name]);
  const types = {
    EIP712Domain: DOMAIN_MEMBERS,
    [name]: members.map(([member, type]) => ({ name: member, type })),
  };
  typesMade.set(name, types);
  return types;
}

/** The words of a struct, as calldata and EIP-712 have them; hex digits without `0x`. */
export function structWords<N extends StructName>(name: N, value: Struct<N>): string {
  const values: Readonly<Record<string, unknown>> = value;
  return Object.entries<WordType>(STRUCTS[name])
    .map(([member, type]) => wordOf(values[member], type, `${name}.${member}`))
    .join('');
}

/** `salt` of terms: of the client's own id for what it wants. */
export function saltOf(intentId: string): Hex {
  return toHex(keccak256(encoder.encode(intentId)));
}

/**
 * Where a plain transfer pays for the job, as a checksummed address.
 * @param vaultInitHash  `VAULT_INIT_HASH` of the escrow's build
 */
export function vaultOf(escrow: string, jobId: string, vaultInitHash: string): Hex {
  const made = keccakOf(
    `ff${addressWord(escrow).slice(24)}${bytes32Word(jobId)}${bytes32Word(vaultInitHash)}`,
  );
  return checksummed(`0x${made.slice(26)}`);
}

/** Shares, in basis points, of a new escrow. */
export const PROTOCOL_BPS = 1_000n;
export const PLATFORM_BPS = 500n;

/** How the escrow shares a payout: fees are rounded down, so the provider has what does not divide. */
export function splitOf(
  payout: bigint,
  protocolBps: bigint = PROTOCOL_BPS,
  platformBps: bigint = PLATFORM_BPS,
): { provider: bigint; protocolFee: bigint; platformFee: bigint } {
  const protocolFee = (payout * protocolBps) / 10_000n;
  const platformFee = (payout * platformBps) / 10_000n;
  return { provider: payout - protocolFee - platformFee, protocolFee, platformFee };
}

/** Seconds that an image may take to be pulled. */
export const PULL_S_MAX = 900;
/** Seconds for a node to accept, and for a job to start after its inputs are there. */
export const START_S_MAX = 15 + 120;
/** Seconds for the verdict. */
export const VERDICT_S_MAX = 600;
/** Seconds between the last verdict and the deadline. */
export const DEADLINE_MARGIN_S = 900;

/**
 * The deadline of a job (section 3.6, findings F43): time for every attempt, and for two re-executions of the last one, to the full minute.
 * @param attempts  that may be made
 * @param timeoutS  of one run
 */
export function deadlineOf(fundBy: bigint, attempts: number, timeoutS: number): bigint {
  const runs = attempts * (timeoutS + PULL_S_MAX + START_S_MAX);
  const audits = 2 * (timeoutS + PULL_S_MAX);
  const end = fundBy + BigInt(runs + audits + VERDICT_S_MAX + DEADLINE_MARGIN_S);
  return ((end + 59n) / 60n) * 60n;
}

/** What a dispute costs: 5 % of the proposed payout, or the token's least. */
export function bondOf(payout: bigint, least: bigint): bigint {
  const bond = (payout * 500n) / 10_000n;
  return bond > least ? bond : least;
}

/** Slots by stake, in millionths of HYPER: from the highest tier down. */
const TIERS = [
  [100_000_000_000n, 100n],
  [10_000_000_000n, 10n],
  [1_000_000_000n, 3n],
  [100_000_000n, 1n],
] as const;

/**
 * What a stake allows (findings F38): how many jobs at a time, and the most that one may cost, in the stake's unit.
 * @param stake  millionths of HYPER
 */
export function capacityOf(stake: bigint): { slots: bigint; reservation: bigint } {
  const slots = TIERS.find(([least]) => stake >= least)?.[1] ?? 0n;
  return { slots, reservation: slots === 0n ? 0n : stake / slots };
}

function wordOf(value: unknown, type: WordType, where: string): string {
  switch (type) {
    case 'address':
    case 'bytes32': {
      if (typeof value !== 'string') break;
      return type === 'address' ? addressWord(value) : bytes32Word(value);
    }
    case 'bool': {
      if (typeof value !== 'boolean') break;
      return numberWord(value ? 1n : 0n, 'uint8');
    }
    default: {
      if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) break;
      return numberWord(BigInt(value as bigint | number), type);
    }
  }
  throw new RangeError(`${where} is not ${type}`);
}

function typeHash(text: string): string {
  let hash = typeHashes.get(text);
  if (hash === undefined) {
    hash = toHex(keccak256(encoder.encode(text))).slice(2);
    typeHashes.set(text, hash);
  }
  return hash;
}

/** Of digits that were made here. */
function keccakOf(digits: string): Hex {
  return toHex(keccak256(fromHex(`0x${digits}`)!));
}
