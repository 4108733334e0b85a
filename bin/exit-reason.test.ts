import { expect, test } from 'vitest';
import { HomeError } from '../runtime-modules/identity/home.ts';
import { whyNotStarted } from './exit-reason.ts';

const HOME = '/srv/node';
const enospc = Object.assign(new Error('ENOSPC: no space left on device, write'), {
  code: 'ENOSPC',
});

test('a full disk is no bug: the owner is told where, and what to do', () => {
  const wanted = {
    reason: 'homeUnusable',
    text: '/srv/node: its disk is full: make room and start it again',
  };
  expect(whyNotStarted(enospc, HOME)).toEqual(wanted);
  expect(whyNotStarted(new Error('cannot save', { cause: enospc }), HOME)).toEqual(wanted);
  const level = new Error('IO error: /kernel/000005.log: No space left on device');
  expect(whyNotStarted(level, HOME)).toEqual(wanted);
});

test('what failed first is told, not what failed while all was given back', () => {
  const later = new Error('and it could not be closed either');
  expect(whyNotStarted(new SuppressedError(later, enospc), HOME).reason).toBe('homeUnusable');
  const nested = new SuppressedError(
    later,
    new SuppressedError(later, new HomeError('in-use', 'x')),
  );
  expect(whyNotStarted(nested, HOME)).toEqual({ reason: 'homeInUse', text: 'x' });
});

test('a bug is told with its stack', () => {
  const bug = new TypeError('of nothing');
  expect(whyNotStarted(bug, HOME)).toEqual({ reason: 'bug', text: bug.stack });
  expect(whyNotStarted('a text', HOME)).toEqual({ reason: 'bug', text: 'a text' });
});
