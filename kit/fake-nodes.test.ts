import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeArguments, planFakeNodes } from './fake-nodes.ts';

const CWD = '/work here';

describe('which fake nodes a command line asks for', () => {
  test('KT27 one by default: fake.os, its web server at 8080, the chain at 8545', () => {
    const plan = planFakeNodes({}, CWD);
    expect(plan).toEqual({
      nodes: [{ name: 'fake.os', home: join(CWD, '.hyperloom/fake/fake.os'), port: 8_080 }],
      chainPort: 8_545,
    });
    expect(nodeArguments(plan.nodes[0]!, plan.chainPort, ['--harts', '2'])).toEqual([
      ...[join(CWD, '.hyperloom/fake/fake.os'), '--fake-node-name', 'fake.os', '--port', '8080'],
      ...['--fakechain-port', '8545', '--expose-local', '--harts', '2'],
    ]);
  });

  test('KT28 a name without a dot is one under os', () => {
    const names = (text: string): string[] =>
      planFakeNodes({ names: text }, CWD).nodes.map(({ name }) => name);
    expect(names('alice')).toEqual(['alice.os']);
    expect(names('alice.dev')).toEqual(['alice.dev']);
    expect(names('alice, bob,carol.os')).toEqual(['alice.os', 'bob.os', 'carol.os']);
  });

  test('several have consecutive ports, and homes in one folder', () => {
    expect(planFakeNodes({ count: '3', port: '9100', home: 'homes' }, CWD).nodes).toEqual([
      { name: 'fake.os', home: join(CWD, 'homes/fake.os'), port: 9_100 },
      { name: 'fake-2.os', home: join(CWD, 'homes/fake-2.os'), port: 9_101 },
      { name: 'fake-3.os', home: join(CWD, 'homes/fake-3.os'), port: 9_102 },
    ]);
    const any = planFakeNodes({ count: '2', port: '0' }, CWD).nodes;
    expect(any.map(({ port }) => port)).toEqual([0, 0]);
    expect(planFakeNodes({ home: '/elsewhere' }, CWD).nodes[0]?.home).toBe('/elsewhere');
  });

  test.each([
    [{ names: 'Alice' }, '"Alice.os" cannot name a node'],
    [{ names: 'alice,alice.os' }, 'a name is given twice'],
    [{ names: 'alice,bob', count: '3' }, '--count 3, but 2 names are given'],
    [{ count: '0' }, '--count must be a whole number from 1 to 64'],
    [{ count: '65' }, '--count must be a whole number from 1 to 64'],
    [{ names: Array.from({ length: 65 }, (_, at) => `n${at}`).join() }, 'at most 64 nodes'],
    [{ port: '65535', count: '2' }, '--port 65535 leaves no ports for 2 nodes'],
    [{ port: 'x' }, '--port must be a whole number'],
    [{ chainPort: '0' }, '--fakechain-port must be a whole number from 1'],
  ])('what cannot be is refused by its flag (%#)', (args, text) => {
    expect(() => planFakeNodes(args, CWD)).toThrow(text);
  });
});
