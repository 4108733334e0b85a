import { Interface, hexlify, toUtf8Bytes } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hypermapAbi } from './abi/hypermap.ts';
import { HYPERMAP, OWNER } from './addresses.ts';
import { TOPICS, decodeEvent, type RawLog } from './events.ts';
import { leaf, namehash } from './hypermap.ts';

const hypermap = new Interface(hypermapAbi);
const parent = namehash('alice.os');

function log(name: string, values: readonly unknown[]): RawLog {
  const { topics, data } = hypermap.encodeEventLog(name, values);
  return { topics: topics.map(String), data };
}
const text = (label: string): string => hexlify(toUtf8Bytes(label));
const mint = (label: string): RawLog =>
  log('Mint', [parent, leaf(parent, label), text(label), text(label)]);
const written = (kind: 'Note' | 'Fact', label: string, data: string): RawLog =>
  log(kind, [parent, leaf(parent, label), text(label), text(label), data]);

test('HM5 first topics are those of our ABI', () => {
  for (const [name, topic] of Object.entries(TOPICS))
    expect(hypermap.getEvent(name)?.topicHash, name).toBe(topic);
});

test('HM5 HM8 HM9 F30 events are decoded as an ABI library does', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => hexlify(value));
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-z-]{1,62}$/), bytes, (label, data) => {
      expect(decodeEvent(mint(label))).toEqual({
        kind: 'Mint',
        parent,
        child: leaf(parent, label),
        label,
      });
      expect(decodeEvent(written('Note', `~${label}`, data))).toEqual({
        kind: 'Note',
        parent,
        hash: leaf(parent, `~${label}`),
        label: `~${label}`,
        data,
      });
      expect(decodeEvent(written('Fact', `!${label}`, data))).toMatchObject({ kind: 'Fact', data });
    }),
  );
});

test('HM10 genes, the root, and transfers', () => {
  expect(decodeEvent(log('Gene', [parent, OWNER]))).toEqual({
    kind: 'Gene',
    entry: parent,
    gene: OWNER.toLowerCase(),
  });
  expect(decodeEvent(log('Zero', [OWNER]))).toEqual({ kind: 'Zero', tba: OWNER.toLowerCase() });
  expect(decodeEvent(log('Transfer', [OWNER, HYPERMAP, parent]))).toEqual({
    kind: 'Transfer',
    from: OWNER.toLowerCase(),
    to: HYPERMAP.toLowerCase(),
    hash: parent,
  });
});

test('F35 labels that the contract refuses are no events', () => {
  for (const label of ['', 'A', 'a.b', '~ip', '!f', 'ä', 'a'.repeat(64), 'a'.repeat(100_000)])
    expect(decodeEvent(mint(label)), label.slice(0, 10)).toBeUndefined();
  for (const label of ['ip', '~', '!ip', '~IP'])
    expect(decodeEvent(written('Note', label, '0x')), label).toBeUndefined();
});

test('F35 logs that no contract made are no events, and throw nothing', () => {
  const good = written('Note', '~ip', '0x7f000001');
  expect(decodeEvent(good)).toBeDefined();
  for (let cut = 0; cut < good.data.length; cut += 3)
    expect(
      () => decodeEvent({ ...good, data: good.data.slice(0, cut) }),
      `${cut} characters`,
    ).not.toThrow();
  expect(decodeEvent({ ...good, data: '0x' })).toBeUndefined();
  for (let topics = 0; topics < 4; topics++)
    expect(decodeEvent({ ...good, topics: good.topics.slice(0, topics) })).toBeUndefined();
  // Offsets and lengths that point outside, or are larger than any number.
  for (const word of ['f'.repeat(64), `${'0'.repeat(56)}7fffffff`, `${'0'.repeat(62)}41`])
    for (const at of [2, 66]) {
      const data = good.data.slice(0, at) + word + good.data.slice(at + 64);
      expect(decodeEvent({ ...good, data })).toBeUndefined();
    }
  const junk = fc.record({ topics: fc.array(fc.string(), { maxLength: 5 }), data: fc.string() });
  fc.assert(fc.property(junk, (one) => decodeEvent(one) === undefined));
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(TOPICS)), junk, (topic, one) => {
      decodeEvent({ topics: [topic, ...one.topics], data: `0x${one.data}` });
    }),
  );
});
