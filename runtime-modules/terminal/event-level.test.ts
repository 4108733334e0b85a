import { expect, test } from 'vitest';
import type { KernelMessage, ProcessId } from '../../wit/types.ts';
import { EventLevels } from './event-level.ts';

const address = (process: string) => ({ node: 'n.dev', process: process as ProcessId });

function request(
  target: string,
  body: unknown,
  id = 1,
  expectsResponse: number | undefined = 5,
): KernelMessage {
  return {
    id,
    source: address('a:b:c'),
    target: address(target),
    rsvp: undefined,
    message: {
      kind: 'request',
      request: {
        inherit: false,
        expectsResponse,
        body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
        metadata: undefined,
        capabilities: [],
      },
    },
    blob: undefined,
  };
}

function response(id: number): KernelMessage {
  const answer = { inherit: false, body: new Uint8Array(), metadata: undefined, capabilities: [] };
  return {
    ...request('a:b:c', '', id),
    message: { kind: 'response', response: answer, context: undefined },
  };
}

test.each(['Metadata', 'Append', 'CloseFile'])(
  'M227 writing logs (%s) and its reply are level 4, everything else level 3',
  (action) => {
    const levels = new EventLevels();
    expect(levels.of(request('vfs:distro:sys', { path: '/b:c/log/a.log', action }, 7))).toBe(4);
    expect(levels.of(response(8))).toBe(3);
    expect(levels.of(response(7))).toBe(4);
    expect(levels.of(response(7))).toBe(3);
    expect(levels.of(request('vfs:distro:sys', { path: '/b:c/data/log', action }))).toBe(3);
    expect(levels.of(request('x:y:z', { path: '/b:c/log/a.log', action }))).toBe(3);
  },
);

test('M227 reads of the log drive, and bodies that are none, are shown', () => {
  const levels = new EventLevels();
  for (const body of [
    { path: '/b:c/log/a', action: 'Read' },
    '{',
    'null',
    '7',
    { path: 7, action: 'Append' },
  ]) {
    expect(levels.of(request('vfs:distro:sys', body))).toBe(3);
  }
});

test('M227 replies that never come are forgotten', () => {
  const levels = new EventLevels();
  const log = { path: '/b:c/log/a.log', action: 'Append' };
  for (let id = 0; id < 1_001; id += 1) levels.of(request('vfs:distro:sys', log, id));
  expect(levels.of(response(0))).toBe(3);
  expect(levels.of(response(1_000))).toBe(4);
});
