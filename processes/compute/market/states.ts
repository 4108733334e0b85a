/** What a job may be in and what may happen to it (compute-market.md §3.4, §3.5). Pure. */

export const STATES = [
  'pending',
  'escrowed',
  'assigned',
  'running',
  'verifying',
  'completed',
  'failed',
  'refunded',
  'cancelled',
] as const;
export type State = (typeof STATES)[number];

/** Of the money. `free`: nothing is paid; `none`: to be paid, and not yet. */
export const PAYMENT_STATES = [
  'none',
  'authorized',
  'free',
  'escrowed',
  'proposed',
  'disputed',
  'released',
  'refunding',
  'partially_refunded',
  'refunded',
] as const;
export type PaymentState = (typeof PAYMENT_STATES)[number];

/**
 * Which money a state goes with. How the money itself moves is the escrow's business, and told by the chain, which may skip and go back.
 */
const LEGAL: Readonly<Record<State, readonly PaymentState[]>> = {
  pending: ['none', 'authorized', 'free'],
  escrowed: ['escrowed', 'free'],
  assigned: ['escrowed', 'free'],
  running: ['escrowed', 'free'],
  verifying: ['escrowed', 'proposed', 'disputed', 'free'],
  completed: ['released', 'free'],
  failed: ['refunding', 'partially_refunded', 'free'],
  refunded: ['refunded'],
  // Ours: `refunding` until the escrow has paid back what a client that cancelled gets.
  cancelled: ['none', 'refunding', 'refunded', 'partially_refunded', 'free'],
};

export interface Transition {
  readonly from: readonly (State | 'new')[];
  readonly to: State;
}

const LIVE = ['pending', 'escrowed', 'assigned', 'running', 'verifying'] as const;

/** By the numbers of §3.5. T17 is ours: the chain took the funding back (CM48). */
export const TRANSITIONS = {
  T1: { from: ['new'], to: 'pending' },
  T2: { from: ['pending'], to: 'escrowed' },
  T3: { from: ['pending'], to: 'cancelled' },
  T4: { from: ['escrowed'], to: 'assigned' },
  T5: { from: ['assigned'], to: 'escrowed' },
  T6: { from: ['assigned'], to: 'running' },
  T7: { from: ['running'], to: 'verifying' },
  T8: { from: ['running'], to: 'escrowed' },
  T9: { from: ['assigned', 'running'], to: 'failed' },
  T10: { from: ['pending', 'escrowed'], to: 'cancelled' },
  T11: { from: ['assigned', 'running'], to: 'cancelled' },
  T12: { from: ['verifying'], to: 'completed' },
  T13: { from: ['verifying'], to: 'failed' },
  T14: { from: ['verifying'], to: 'escrowed' },
  T15: { from: ['failed'], to: 'refunded' },
  T16: { from: [...LIVE, 'failed'], to: 'refunded' },
  T17: { from: ['escrowed', 'assigned', 'running', 'verifying'], to: 'pending' },
} as const satisfies Readonly<Record<string, Transition>>;
export type TransitionId = keyof typeof TRANSITIONS;

export function isTransition(id: string): id is TransitionId {
  return Object.hasOwn(TRANSITIONS, id);
}

/** Why that change is none that may happen; undefined for one that may. */
export function transitionProblem(
  id: TransitionId,
  was: State | 'new',
  payment: PaymentState,
): string | undefined {
  const { from, to } = TRANSITIONS[id];
  if (!(from as readonly string[]).includes(was)) return `${id} begins at ${from.join(' or ')}`;
  return pairProblem(to, payment);
}

/** Why state and money do not go together. */
export function pairProblem(state: State, payment: PaymentState): string | undefined {
  return LEGAL[state].includes(payment) ? undefined : `${state} does not go with ${payment}`;
}

/** Nothing more will happen, neither to the job nor to its money. */
export function isOver(state: State, payment: PaymentState): boolean {
  if (state === 'completed' || state === 'refunded') return true;
  return (state === 'failed' || state === 'cancelled') && payment !== 'refunding';
}
