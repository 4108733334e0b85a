/** Printing and the event view: K128, kernel.md §8. */
import { describe, expect, test } from 'vitest';
import { processId } from '../wit/address.ts';
import { renderMessage, renderPrintout } from './print.ts';
import { bytesOf, remoteRequest, settle, TestNode, type GuestCode } from './testing.ts';

const A = processId('a:pkg:pub.os');
const B = processId('b:pkg:sys');
const at = (id: string): string => `fake.os@${id}`;

test('K128 print-to-terminal shows the package, the publisher and the text', async () => {
  const node = new TestNode();
  await node.start(A, async (guest) => {
    await guest.host.printToTerminal(0, 'x');
    await guest.host.printToTerminal(255, 'far down');
  });
  expect(node.sink.printouts.slice(0, 2)).toEqual([
    { verbosity: 0, process: A, text: 'pkg:pub.os: x' },
    { verbosity: 255, process: A, text: 'pkg:pub.os: far down' },
  ]);
});

test('K128 a sink that is behind makes the guest wait', async () => {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const node = new TestNode({
    sink: {
      print: (printout) => ('text' in printout && printout.text.endsWith('x') ? gate : undefined),
    },
  });
  let printed = false;
  await node.start(A, async (guest) => {
    await guest.host.printToTerminal(0, 'x');
    printed = true;
  });
  expect(printed).toBe(false);
  open();
  await settle();
  expect(printed).toBe(true);
});

test('events are records; as text, one field a line in braces', () => {
  const message = remoteRequest('n@a:b:c', 'm@d:e:f', { body: bytesOf('hi'), expectsResponse: 5 });
  expect(renderPrintout({ verbosity: 3, process: A, event: message })).toBe(renderMessage(message));
  expect(renderMessage(message)).toBe(
    [
      '{',
      '    id: 4242,',
      '    source: n@a:b:c,',
      '    target: m@d:e:f,',
      '    rsvp: None,',
      '    message: Request(',
      '        inherit: false,',
      '        expects_response: Some(5),',
      '        body: hi,',
      '        metadata: None,',
      '        capabilities: []',
      '    ),',
      '    blob: false',
      '}',
    ].join('\n'),
  );
  expect(
    renderMessage({
      ...message,
      message: {
        kind: 'response',
        response: { inherit: true, body: Uint8Array.of(255), metadata: 'm', capabilities: [] },
        context: undefined,
      },
    }),
  ).toContain('body: [255],');
});

describe('event debugging', () => {
  const listener =
    (seen: string[]): GuestCode =>
    async (guest) => {
      for (;;) seen.push((await guest.request()).body);
    };
  const events = (node: TestNode): string[] =>
    node.sink.printouts.flatMap((printout) => ('event' in printout ? [printout.process] : []));

  test('full printing shows what passed the access checks, tracing one process only its own', async () => {
    const node = new TestNode();
    await node.start(B, listener([]), { public: true });
    node.kernel.debug.setFull(true);
    await node.start(A, async (guest) => {
      await guest.send(at(B), {});
      await guest.send(at('no:such:process'), {});
      await guest.receive();
    });
    expect(events(node)).toEqual(['kernel:distro:sys']);
    node.kernel.debug.setFull(false);
    node.kernel.debug.setProcess(B, true);
    await node.start('c:pkg:sys', (guest) => guest.send(at(B), {}));
    await node.start('d:pkg:sys', (guest) => guest.send(at('d:pkg:sys'), {}));
    expect(events(node)).toEqual(['kernel:distro:sys', B]);
    node.kernel.debug.setProcess(B, false);
    expect(node.kernel.debug.active).toBe(false);
  });

  test('in step-through each message waits for a step; switched off, the rest goes on in order', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, listener(seen), { public: true });
    node.kernel.debug.setStepping(true);
    await node.start(A, async (guest) => {
      for (const body of ['1', '2', '3']) await guest.send(at(B), { body: bytesOf(body) });
      await guest.receive();
    });
    expect(seen).toEqual([]);
    expect(node.kernel.debug.step()).toBe(true);
    await settle();
    expect(seen).toEqual(['1']);
    node.kernel.debug.setStepping(false);
    await settle();
    expect(seen).toEqual(['1', '2', '3']);
    expect(node.kernel.debug.step()).toBe(false);
  });

  test('a message held for a step to a process killed meanwhile fails instead', async () => {
    const node = new TestNode();
    const seen: string[] = [];
    await node.start(B, listener([]), { public: true });
    node.kernel.debug.setStepping(true);
    await node.start(A, async (guest) => {
      await guest.send(at(B), { expectsResponse: 60 });
      seen.push((await guest.receive()).kind);
    });
    await node.kernel.kill(B);
    node.kernel.debug.setStepping(false);
    await settle();
    expect(seen).toEqual(['send-error']);
  });
});

test('console input reaches the terminal process as its own request, and nobody when there is none', async () => {
  const node = new TestNode();
  expect(node.kernel.consoleInput('help')).toBe(false);
  const seen: string[] = [];
  await node.start('terminal:terminal:sys', async (guest) => {
    const { source, body, request } = await guest.request();
    seen.push(source.process, body, String(request.expectsResponse));
  });
  expect(node.kernel.consoleInput('m our@x:y:z ""')).toBe(true);
  await settle();
  expect(seen).toEqual(['terminal:terminal:sys', 'm our@x:y:z ""', 'undefined']);
});
