/** Machines that are sold twice (compute-market.md §15, threat 30). */
import { expect, test } from 'vitest';
import { Machines } from './machines.ts';

const gpus = (...uuids: string[]): { uuid: string }[] => uuids.map((uuid) => ({ uuid }));

test('T30 nodes that name the same GPU are known to share a machine, also in part, until one of them has another', () => {
  const machines = new Machines();
  machines.set('a.os', gpus('GPU-1', 'GPU-2'));
  machines.set('b.os', gpus('GPU-3'));
  expect(machines.sharedWith('a.os')).toEqual([]);
  machines.set('c.os', gpus('GPU-2', 'GPU-3'));
  expect(machines.sharedWith('a.os')).toEqual(['c.os']);
  expect(machines.sharedWith('c.os')).toEqual(['a.os', 'b.os']);
  machines.set('a.os', gpus('GPU-1', 'GPU-2'));
  expect(machines.sharedWith('c.os')).toEqual(['a.os', 'b.os']);
  machines.set('c.os', gpus('GPU-4'));
  expect(machines.sharedWith('b.os')).toEqual([]);
  machines.set('c.os', gpus('GPU-3'));
  machines.set('b.os', []);
  expect(machines.sharedWith('c.os')).toEqual([]);
  expect(machines.sharedWith('nobody.os')).toEqual([]);
});

test('T30 machines without GPUs are never the same, and one that names very many is looked at in part', () => {
  const machines = new Machines();
  machines.set('a.os', []);
  machines.set('b.os', []);
  expect(machines.sharedWith('a.os')).toEqual([]);
  const many = Array.from({ length: 10_000 }, (_, index) => `GPU-${index}`);
  machines.set('a.os', gpus(...many));
  machines.set('b.os', gpus('GPU-9999'));
  machines.set('c.os', gpus('GPU-0'));
  expect(machines.sharedWith('a.os')).toEqual(['c.os']);
});
