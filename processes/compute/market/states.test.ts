import { expect, it } from 'vitest';
import { type JobEvent, type JobPatch, patched, replay } from './record.ts';
import {
  isOver,
  isTransition,
  pairProblem,
  PAYMENT_STATES,
  STATES,
  transitionProblem,
  TRANSITIONS,
  type TransitionId,
} from './states.ts';

it('CM7 transitions are those of the table, and no others', () => {
  expect(Object.keys(TRANSITIONS)).toHaveLength(17);
  for (const [id, { from, to }] of Object.entries(TRANSITIONS)) {
    if (!isTransition(id)) throw new Error(id);
    const payment = PAYMENT_STATES.find((state) => pairProblem(to, state) === undefined)!;
    for (const was of ['new', ...STATES] as const) {
      const problem = transitionProblem(id, was, payment);
      if ((from as readonly string[]).includes(was))
        expect(problem, `${id} ${was}`).toBeUndefined();
      else expect(problem, `${id} ${was}`).toMatch(/begins at/);
    }
  }
});

it('CM7 nothing leads out of a state that is final', () => {
  for (const state of ['completed', 'refunded', 'cancelled'] as const) {
    for (const id of Object.keys(TRANSITIONS) as TransitionId[]) {
      expect(transitionProblem(id, state, 'refunded'), `${id} from ${state}`).toBeDefined();
    }
  }
  expect(isOver('completed', 'released')).toBe(true);
  expect(isOver('failed', 'refunding')).toBe(false);
  expect(isOver('failed', 'free')).toBe(true);
});

it('CM7 states go with the money that the table names', () => {
  expect(transitionProblem('T4', 'escrowed', 'none')).toBe('assigned does not go with none');
  expect(transitionProblem('T12', 'verifying', 'escrowed')).toBe(
    'completed does not go with escrowed',
  );
  expect(transitionProblem('T12', 'verifying', 'released')).toBeUndefined();
  expect(pairProblem('running', 'proposed')).toBeDefined();
  expect(pairProblem('verifying', 'proposed')).toBeUndefined();
});

it('CM7 a record is what the patches of its log make', () => {
  const event = (seq: number, patch: JobPatch): JobEvent => ({
    jobId: '0x1',
    seq,
    at: seq,
    was: 'new',
    now: 'pending',
    cause: 'test',
    patch,
  });
  const patches: JobPatch[] = [
    { jobId: '0x1', payment: { state: 'free', amount: '0' }, times: { created: 1 } },
    { node: { name: 'a.os', nodeId: '0x2', offeredAt: 3 }, excluded: ['b.os'] },
    { node: { lease: 'x' }, times: { assigned: 4 } },
    { node: null, excluded: ['b.os', 'a.os'], times: { assigned: null } },
  ];
  let record = {} as Parameters<typeof patched<Record<string, unknown>>>[0];
  for (const patch of patches) record = patched(record, patch as never);
  expect(replay(patches.map((patch, index) => event(index + 1, patch)))).toEqual(record);
  expect(record).toEqual({
    jobId: '0x1',
    payment: { state: 'free', amount: '0' },
    times: { created: 1 },
    excluded: ['b.os', 'a.os'],
  });
});
