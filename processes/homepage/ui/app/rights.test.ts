import { expect, test } from 'vitest';
import { capabilityGroups, descriptionIn } from './rights.ts';

const right = (issuer: string, params: string) => ({ issuer: `a.os@${issuer}`, params });
const answer = (more: object) => ({
  Debug: { Process: { on_exit: 'None', public: false, capabilities: [], ...more } },
});

test('capabilities are read bare and with signatures, and gathered by who issued them', () => {
  const about = descriptionIn(
    answer({
      capabilities: [
        right('vfs:distro:sys', '"messaging"'),
        [right('kernel:distro:sys', '"network"'), []],
        right('vfs:distro:sys', '{"root":true}'),
        right('vfs:distro:sys', '"messaging"'),
      ],
    }),
  );
  expect(about && capabilityGroups(about)).toEqual([
    { issuer: 'kernel:distro:sys', params: ['network'] },
    { issuer: 'vfs:distro:sys', params: ['messaging', '{"root":true}'] },
  ]);
});

test('what happens at its end is a sentence', () => {
  const onExit = (on_exit: unknown): string | undefined =>
    descriptionIn(answer({ on_exit }))?.onExit;
  expect(onExit('None')).toBe('nothing happens');
  expect(onExit('Restart')).toBe('it is started again');
  expect(onExit({ Requests: [] })).toBe('it sends messages');
});

test('a process that the kernel does not know is none; anything else is an error', () => {
  expect(descriptionIn({ Debug: { Process: null } })).toBeUndefined();
  for (const other of [null, {}, { Debug: {} }, answer({ capabilities: 1 })]) {
    expect(() => descriptionIn(other)).toThrow('says nothing');
  }
});
