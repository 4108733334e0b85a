/**
 * Events of the compute escrow and the node registry out of raw logs, by hand as in `events.ts`: for guests. Nothing in a log is trusted but
 * that the caller asked for logs of the contract's address. `compute-events.test.ts` compares with ethers.
 */
import { readWords } from './compute-words.ts';
import type { Members, StructOf } from './compute.ts';
import type { RawLog } from './events.ts';

/** What an event is made of. */
interface EventShape {
  readonly topic: string;
  readonly indexed: Members;
  readonly data: Members;
}
type EventTable = Readonly<Record<string, EventShape>>;

/** One of a table's events: its name as `kind`, and what it says. */
type EventOf<T extends EventTable> = {
  [K in keyof T & string]: { readonly kind: K } & StructOf<T[K]['indexed']> &
    StructOf<T[K]['data']>;
}[keyof T & string];

/** Events of the escrow. */
export const ESCROW_EVENTS = {
  BurnSet: {
    topic: '0xe7c3bc78c8dfda9650d2980ca89d3b64df013c0164c178a0198b2d0fd19b585a',
    indexed: {},
    data: { burnBps: 'uint16' },
  },
  CloseRequested: {
    topic: '0x9fd5c1db29e4aeb4f968f62fc18602aad1cca0f99be64b456a6c4f4052d63b14',
    indexed: { jobId: 'bytes32' },
    data: { deadline: 'uint64' },
  },
  Convicted: {
    topic: '0xbf0f447dc15de4160078b5d0b12f1f855b7b6d4b045f1922a391eeabec96e332',
    indexed: { jobId: 'bytes32', nodeId: 'bytes32' },
    data: { receiptHash: 'bytes32', evidenceHash: 'bytes32', slash: 'uint256' },
  },
  Credited: {
    topic: '0x4e45da441832cf53bdaa69235704fc0575e68210f459ee1562911024b12967d5',
    indexed: { account: 'address', token: 'address' },
    data: { amount: 'uint256' },
  },
  Disputed: {
    topic: '0x386e4e0a55520b3c4aba55774431ea5661002ecd0cb375011f7ea3f95d49c150',
    indexed: { jobId: 'bytes32', by: 'address' },
    data: { evidenceHash: 'bytes32', bond: 'uint256' },
  },
  FeesSet: {
    topic: '0x947504f5e2a48952ffa34f7cceb8582c6705286ad16842e7258c4207a40ce518',
    indexed: {},
    data: { protocolBps: 'uint16', platformBps: 'uint16' },
  },
  JobAssigned: {
    topic: '0x2609ea3b482830106dc2c7b7ba7702aea1c3d27c0a899d2243fe61339fb05c23',
    indexed: { jobId: 'bytes32', nodeId: 'bytes32' },
    data: { attempt: 'uint32', price: 'uint256' },
  },
  JobFunded: {
    topic: '0x18195e34a56fc21153390a67caa8b8e91ee457fce3d6eb033a89c2eb760cc43d',
    indexed: { jobId: 'bytes32', client: 'address', token: 'address' },
    data: { amount: 'uint256', specHash: 'bytes32', deadline: 'uint64' },
  },
  PausedSet: {
    topic: '0x40db37ff5c0bdc2c427fbb2078c8f24afea940abac0e3c23bb4ea3bf2da2b212',
    indexed: {},
    data: { paused: 'bool' },
  },
  PauserSet: {
    topic: '0xd11d57c2c7468878b1035df11c670bcd0091aa840bf8aa166365397622237bea',
    indexed: {},
    data: { pauser: 'address' },
  },
  Refunded: {
    topic: '0x3f53756480d822ddf3ce02658d77fd50417a0e09c14a8fff7fe821c0513db7b5',
    indexed: { jobId: 'bytes32' },
    data: { amount: 'uint256', reason: 'uint8' },
  },
  Requeued: {
    topic: '0x7ce4c9b8b87e8d7b61ff3343865376d6eaea5b7347cff198b7589b6f07245d92',
    indexed: { jobId: 'bytes32' },
    data: { attempt: 'uint32' },
  },
  Resolved: {
    topic: '0xcf374d1b2c68565cfe14d3be3940b0ed58f70b943dd85e74a17ce5de322a23dc',
    indexed: { jobId: 'bytes32' },
    data: { upheld: 'bool', payout: 'uint256', slash: 'uint256' },
  },
  ResultProposed: {
    topic: '0x956e931e2b75bc9bae66c6d80fc1c43c46febe92010c30c25699440a2265ccbe',
    indexed: { jobId: 'bytes32' },
    data: { receiptHash: 'bytes32', payout: 'uint256', finalizableAt: 'uint64' },
  },
  SessionClaimed: {
    topic: '0x7cf9925c1fefe60d880c69d92dc778c1ca6ff4d241e50f4d804db2f09372eb12',
    indexed: { jobId: 'bytes32' },
    data: {
      attempt: 'uint32',
      cumulative: 'uint256',
      increase: 'uint256',
      tokensIn: 'uint64',
      tokensOut: 'uint64',
    },
  },
  Settled: {
    topic: '0xe3d1413571b7da8c503ea2cd7b1fa96293662ade1f9bb104c5c57af4c617fee9',
    indexed: { jobId: 'bytes32' },
    data: {
      providerAmount: 'uint256',
      protocolFee: 'uint256',
      platformFee: 'uint256',
      clientRefund: 'uint256',
    },
  },
  TokenRuleSet: {
    topic: '0xf1fdcfda5fa0ca4ab52ee5c5c9381ba23a50741fe0d6be5ba334748e393c7c65',
    indexed: { token: 'address' },
    data: { exposurePpm: 'uint64', minBond: 'uint128' },
  },
  TreasurySet: {
    topic: '0x3c864541ef71378c6229510ed90f376565ee42d9c5e0904a984a9e863e6db44f',
    indexed: {},
    data: { treasury: 'address' },
  },
  VaultRecovered: {
    topic: '0xb0ba516c6b8a8529a821dd359a6a325539f9a3b338354cc805997aee42fcc29b',
    indexed: { jobId: 'bytes32', token: 'address' },
    data: { amount: 'uint256' },
  },
  Withdrawn: {
    topic: '0xa4195c37c2947bbe89165f03e320b6903116f0b10d8cfdb522330f7ce6f9fa24',
    indexed: { account: 'address', token: 'address' },
    data: { to: 'address', amount: 'uint256' },
  },
} as const satisfies EventTable;

/** Events of the registry. */
export const REGISTRY_EVENTS = {
  Credited: {
    topic: '0x9c9e0cdb1670e88302408e5b941dc636f63a3293204694bb68910fcf3d9305f3',
    indexed: { account: 'address' },
    data: { amount: 'uint256' },
  },
  EscrowSet: {
    topic: '0x11c45b983505863b0e07a553273d4d2c75260562e50e56acb3ca5f2565a81d21',
    indexed: { escrow: 'address' },
    data: { admitted: 'bool' },
  },
  ExecutorRevoked: {
    topic: '0x6d0f65cf2920a8e4867faca08e51150e6b5dbca5d664c9d82054db8b6cbac1dd',
    indexed: { nodeId: 'bytes32', executor: 'address' },
    data: {},
  },
  Heartbeat: {
    topic: '0x2680de272141ce23d23badcb37a510207a34ecd45c0551312b0ff9f47b76485c',
    indexed: { nodeId: 'bytes32' },
    data: { at: 'uint64' },
  },
  NodeRegistered: {
    topic: '0x49834349f7ec49413da3d70d5e60d2c507804e2f5dd5254fba0e3976773e8971',
    indexed: { nodeId: 'bytes32', operator: 'address', executor: 'address' },
    data: { generation: 'uint16', payTo: 'address', metaHash: 'bytes32' },
  },
  NodeUpdated: {
    topic: '0xa824c123d48bb9ae2fb8f5a59e19f5fd7ac49426231d4cd4a85eab0a89f256ad',
    indexed: { nodeId: 'bytes32', executor: 'address' },
    data: { payTo: 'address', metaHash: 'bytes32', on: 'bool' },
  },
  OfflineReported: {
    topic: '0x36dddec12f92547958227607728e627bf49ffe3fb3d3da6e6e25f71990df1864',
    indexed: { nodeId: 'bytes32', by: 'address' },
    data: {},
  },
  OperatorChanged: {
    topic: '0x1a94dfc622f134aba8888549a3f0d18c85894a29f53e73499c36deb637b310a6',
    indexed: { nodeId: 'bytes32', operator: 'address' },
    data: {},
  },
  OperatorProposed: {
    topic: '0x88fbad3225a3fb415d213b68bfdc067c270fe5b94dfb5485f91515807cf31ff7',
    indexed: { nodeId: 'bytes32', to: 'address' },
    data: {},
  },
  Released: {
    topic: '0x513cdd7697b6d7438f91c7fcd9124dfd12566e4b2569cc214c19c493ce1591a0',
    indexed: { nodeId: 'bytes32', jobId: 'bytes32' },
    data: { attempt: 'uint32' },
  },
  Reserved: {
    topic: '0x29d815946db3886e346a065ee8f6b01b61c105054f40c7be100a2ac5403f001e',
    indexed: { nodeId: 'bytes32', jobId: 'bytes32' },
    data: { attempt: 'uint32', amount: 'uint256' },
  },
  SlashCancelled: {
    topic: '0xf7a279d05032c086da0c91b84667c01a2d3bc14c97b532abc968e71bc9071068',
    indexed: { slashId: 'uint256' },
    data: {},
  },
  SlashExecuted: {
    topic: '0x03a939b270d599ce260adaabbf83e1f3f2720f85318f0961c2e0ae06042b8420',
    indexed: { slashId: 'uint256' },
    data: { toVictim: 'uint256', toChallenger: 'uint256', burned: 'uint256' },
  },
  SlashProposed: {
    topic: '0x0c13f6bf8f07c46bc0fb484b58374233bd2c5d49aff5e002275b866963ab83bc',
    indexed: { slashId: 'uint256', nodeId: 'bytes32' },
    data: { amount: 'uint256', reason: 'uint8', evidence: 'bytes32', executableAt: 'uint64' },
  },
  SlotFreed: {
    topic: '0x3a1bdfdaba0b5f58c0ebc8980f02fdaa6cca027cd45ab2b0e98c6b7ade321f73',
    indexed: { nodeId: 'bytes32', jobId: 'bytes32' },
    data: { attempt: 'uint32' },
  },
  Staked: {
    topic: '0xa1fdccfe567643a44425efdd141171e8d992854a81e5c819c1432b0de47c9a11',
    indexed: { nodeId: 'bytes32', from: 'address' },
    data: { amount: 'uint256', stake: 'uint256' },
  },
  StakeWithdrawn: {
    topic: '0x7a11eae7c09eae45170383643c0f6800225d0c3052e08f6d6e81db9619352a46',
    indexed: { nodeId: 'bytes32', operator: 'address' },
    data: { generation: 'uint16', amount: 'uint256' },
  },
  UnstakeRequested: {
    topic: '0x576ac4ff23a9076acfbc9e42513685e50cafc20bd35214bc9203e2c71cfdfd47',
    indexed: { nodeId: 'bytes32' },
    data: { generation: 'uint16', amount: 'uint256', availableAt: 'uint64' },
  },
  Withdrawn: {
    topic: '0xd1c19fbcd4551a5edfb66d43d2e337c04837afda3482b42bdf569a8fccdae5fb',
    indexed: { account: 'address' },
    data: { to: 'address', amount: 'uint256' },
  },
} as const satisfies EventTable;

export type EscrowEvent = EventOf<typeof ESCROW_EVENTS>;
export type RegistryEvent = EventOf<typeof REGISTRY_EVENTS>;

const escrowByTopic = byTopic(ESCROW_EVENTS);
const registryByTopic = byTopic(REGISTRY_EVENTS);

/** The escrow's event that `log` is; undefined for one of another kind, and one that is malformed. Addresses are lower case. */
export function decodeEscrowEvent(log: RawLog): EscrowEvent | undefined {
  // The table has the shape of what is read by it.
  return decode(log, escrowByTopic) as EscrowEvent | undefined;
}

/** The same of the registry. */
export function decodeRegistryEvent(log: RawLog): RegistryEvent | undefined {
  return decode(log, registryByTopic) as RegistryEvent | undefined;
}

type Named = EventShape & { readonly kind: string };

function byTopic(table: EventTable): ReadonlyMap<string, Named> {
  return new Map(Object.entries(table).map(([kind, shape]) => [shape.topic, { ...shape, kind }]));
}

function decode({ topics, data }: RawLog, table: ReadonlyMap<string, Named>): unknown {
  const shape = table.get(topics[0] ?? '');
  if (shape === undefined) return undefined;
  const words = topics.slice(1);
  if (words.some((topic) => topic.length !== 66 || !topic.startsWith('0x'))) return undefined;
  const indexed = readWords(`0x${words.map((topic) => topic.slice(2)).join('')}`, shape.indexed);
  const rest = readWords(data, shape.data);
  return indexed && rest && { kind: shape.kind, ...indexed, ...rest };
}
