import { beforeEach, describe, expect, test } from 'vitest';
import type { Address, Capability, LazyLoadBlob, ProcessId } from '../../../wit/types.ts';
import { tokens } from './command-line.ts';
import type { AskOptions, Guest, Reply } from './guest.ts';
import { alias, cat, clearState, echo, help, hi, kill, m } from './scripts/simple.ts';
import { encodeNetResponse, type NetIdentity, type NetResponse } from '../../../wit/net-api.ts';
import { netDiagnostics, peer, peers } from './scripts/network.ts';
import { ps, top } from './scripts/processes.ts';
import { Terminal } from './terminal.ts';

const our: Address = { node: 'n.dev', process: 'terminal:terminal:sys' as ProcessId };
const issued = (process: string, params: string): Capability => ({
  issuer: { node: 'n.dev', process: process as ProcessId },
  params,
});
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (body: string | Uint8Array): string =>
  typeof body === 'string' ? body : new TextDecoder().decode(body);
const answer = (value: unknown): Reply => ({
  kind: 'response',
  body: bytes(JSON.stringify(value)),
});

interface Asked {
  readonly to: string;
  readonly body: string;
  readonly options?: AskOptions;
}

/** A guest over a table of files and a function that answers the rest. */
class FakeGuest implements Guest {
  readonly our = our;
  readonly prints: [number, string][] = [];
  readonly asked: Asked[] = [];
  readonly sent: Asked[] = [];
  readonly files = new Map<string, string>();
  held: Capability[] = [];
  saved: Uint8Array | undefined;
  reply: (asked: Asked) => Reply = () => ({ kind: 'timeout' });
  #blob: LazyLoadBlob | undefined;

  print(verbosity: number, line: string): void {
    this.prints.push([verbosity, line]);
  }
  ask(target: Address, body: string | Uint8Array, options: AskOptions): Reply {
    const asked = { to: `${target.node}@${target.process}`, body: text(body), options };
    this.asked.push(asked);
    if (target.process === 'vfs:distro:sys') {
      const { path } = JSON.parse(asked.body) as { path: string };
      const file = this.files.get(path);
      if (file === undefined)
        return answer({ Err: { IOError: 'No such file or directory (os error 2)' } });
      this.#blob = { mime: undefined, bytes: bytes(file) };
      return answer('Read');
    }
    return this.reply(asked);
  }
  send(target: Address, body: string | Uint8Array): void {
    this.sent.push({ to: `${target.node}@${target.process}`, body: text(body) });
  }
  blob(): LazyLoadBlob | undefined {
    return this.#blob;
  }
  capabilities(): readonly Capability[] {
    return this.held;
  }
  randomName(): string {
    return '12345';
  }
  state(): Uint8Array | undefined {
    return this.saved;
  }
  setState(state: Uint8Array): void {
    this.saved = state;
  }
}

let guest: FakeGuest;
let terminal: Terminal;
beforeEach(() => {
  guest = new FakeGuest();
  terminal = new Terminal(guest);
});

const type = (line: string): string | undefined =>
  terminal.onRequest({ source: our, body: bytes(line), expectsResponse: false });
const lines = (): string[] => guest.prints.map(([, line]) => line);

function withScript(entry: object, name = 'echo'): void {
  const shape = { root: false, public: false, request_networking: false, ...entry };
  guest.files.set('/terminal:sys/pkg/scripts.json', JSON.stringify({ [`${name}.wasm`]: shape }));
  guest.files.set(`/terminal:sys/pkg/${name}.wasm`, 'wasm');
  guest.reply = ({ body }) =>
    answer(body.includes('Initialize') ? 'InitializedProcess' : 'StartedProcess');
}

describe('the command line', () => {
  test('M237 an unknown head gives the exact line; an empty line nothing', () => {
    type('nonsense and more');
    type('   ');
    expect(guest.prints).toEqual([
      [0, "error calling script: 'nonsense' not found, either as an alias or process ID"],
    ]);
  });

  test("M238 a full process id runs that package's script", () => {
    guest.files.set(
      '/chess:me.os/pkg/scripts.json',
      '{"play.wasm":{"root":false,"public":false,"request_networking":false}}',
    );
    guest.files.set('/chess:me.os/pkg/play.wasm', 'wasm');
    guest.reply = ({ body }) =>
      answer(body.includes('Initialize') ? 'InitializedProcess' : 'StartedProcess');
    type('play:chess:me.os e4 e5');
    expect(lines()).toEqual([]);
    expect(guest.sent).toEqual([{ to: 'n.dev@12345:chess:me.os', body: 'e4 e5' }]);
  });

  test('M239 a missing, a malformed and an incomplete scripts.json have their three messages', () => {
    type('echo x');
    guest.files.set('/terminal:sys/pkg/scripts.json', '{');
    type('echo x');
    guest.files.set('/terminal:sys/pkg/scripts.json', '{}');
    type('echo x');
    guest.files.set('/terminal:sys/pkg/scripts.json', '{"echo.wasm":{"root":1}}');
    type('echo x');
    expect(lines()).toEqual([
      'error calling script: no scripts manifest in package',
      'error calling script: could not parse scripts.json file',
      'error calling script: script not in scripts.json file',
      'error calling script: could not parse scripts.json file',
    ]);
  });

  test('M239 wasm that is not there is said so, and nothing is initialised', () => {
    withScript({});
    guest.files.delete('/terminal:sys/pkg/echo.wasm');
    type('echo x');
    expect(lines()).toEqual(['error calling script: failed to read script Wasm from VFS']);
    expect(guest.asked.filter(({ to }) => to.includes('kernel'))).toEqual([]);
  });

  test('M239 a silent kernel is said so', () => {
    withScript({});
    guest.reply = () => ({ kind: 'timeout' });
    type('echo x');
    expect(lines()).toEqual(['error calling script: kernel unresponsive']);
    expect(guest.sent).toEqual([]);
  });

  test('M240 the script gets a random name in its package and the wasm just read', () => {
    withScript({ wit_version: 1 });
    type('echo  hello  world ');
    const [initialize, run] = guest.asked.filter(({ to }) => to === 'n.dev@kernel:distro:sys');
    expect(initialize?.options?.inherit).toBe(true);
    expect(JSON.parse(initialize?.body ?? '')).toMatchObject({
      InitializeProcess: {
        id: '12345:terminal:sys',
        wasm_bytes_handle: '/terminal:sys/pkg/echo.wasm',
        wit_version: 1,
        on_exit: 'None',
        public: false,
      },
    });
    expect(run?.body).toBe('{"RunProcess":"12345:terminal:sys"}');
    expect(guest.sent.at(-1)).toEqual({ to: 'n.dev@12345:terminal:sys', body: 'hello  world' });
  });

  const initial = (): { issuer: string; params: string }[] => {
    const found = guest.asked.find(({ body }) => body.includes('InitializeProcess'));
    const command = JSON.parse(found?.body ?? '{}') as {
      InitializeProcess: { initial_capabilities: { issuer: string; params: string }[] };
    };
    return command.InitializeProcess.initial_capabilities;
  };

  test('M241 a script asks for its requests and messaging(terminal); a root script for all the terminal holds', () => {
    guest.held = [issued('eth:distro:sys', '{"root":true}')];
    const own = { issuer: 'n.dev@terminal:terminal:sys', params: '"messaging"' };
    withScript({
      request_networking: true,
      request_capabilities: [
        'net:distro:sys',
        { process: 'vfs:distro:sys', params: { root: true } },
        5,
      ],
    });
    type('echo x');
    expect(initial()).toEqual([
      { issuer: 'n.dev@net:distro:sys', params: '"messaging"' },
      { issuer: 'n.dev@vfs:distro:sys', params: '{"root":true}' },
      own,
      { issuer: 'n.dev@kernel:distro:sys', params: '"network"' },
    ]);
    guest.asked.length = 0;
    withScript({ root: true });
    type('echo x');
    expect(initial()).toEqual([own, { issuer: 'n.dev@eth:distro:sys', params: '{"root":true}' }]);
  });

  test('M241 grants go to the process named, issued by the script, before it is initialised', () => {
    withScript({ grant_capabilities: ['net:distro:sys', { process: 'a:b:c', params: 1 }] });
    type('echo x');
    expect(guest.sent.slice(0, 2).map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      {
        GrantCapabilities: {
          target: 'net:distro:sys',
          capabilities: [{ issuer: 'n.dev@12345:terminal:sys', params: '"messaging"' }],
        },
      },
      {
        GrantCapabilities: {
          target: 'a:b:c',
          capabilities: [{ issuer: 'n.dev@12345:terminal:sys', params: '1' }],
        },
      },
    ]);
  });
});

describe('aliases', () => {
  const edit = (
    body: unknown,
    source = '9:terminal:sys',
    expectsResponse = true,
  ): string | undefined =>
    terminal.onRequest({
      source: { node: 'n.dev', process: source as ProcessId },
      body: bytes(JSON.stringify(body)),
      expectsResponse,
    });

  test('M243 every default alias is there, even if it was removed before the restart', () => {
    edit({ EditAlias: { alias: 'echo', process: null } });
    type('echo x');
    expect(lines().at(-1)).toContain("'echo' not found");
    terminal = new Terminal(guest);
    guest.prints.length = 0;
    for (const name of (
      'add-node-provider add-rpcurl-provider alias cat clear-state echo get-providers help hi kill kfetch m ' +
      'net-diagnostics peer peers remove-provider top'
    ).split(' ')) {
      type(name);
    }
    expect(lines().filter((line) => line.includes('not found'))).toEqual([]);
  });

  test('M244 a user alias survives a restart', () => {
    expect(edit({ EditAlias: { alias: 'x', process: 'a:b:c' } })).toBe('{"EditAlias":"AliasSet"}');
    terminal = new Terminal(guest);
    guest.files.set('/b:c/pkg/scripts.json', '{}');
    type('x args');
    expect(lines().at(-1)).toBe('error calling script: script not in scripts.json file');
  });

  test('M245 set, remove, not found and invalid answer and print as they should', () => {
    expect(edit({ EditAlias: { alias: 'x', process: 'a:b:c' } })).toContain('AliasSet');
    expect(edit({ EditAlias: { alias: 'x', process: null } })).toContain('AliasRemoved');
    expect(edit({ EditAlias: { alias: 'x', process: null } })).toContain('AliasNotFound');
    expect(edit({ EditAlias: { alias: 'x', process: 'bad' } })).toContain('InvalidProcessId');
    expect(
      edit({ EditAlias: { alias: 'x', process: 'a:b:c' } }, '9:terminal:sys', false),
    ).toBeUndefined();
    expect(lines()).toEqual([
      'alias x set for a:b:c',
      'alias x removed',
      'alias x not found',
      'Invalid process ID.',
      'alias x set for a:b:c',
    ]);
    for (const body of [
      {},
      { EditAlias: { alias: 1 } },
      { EditAlias: { alias: 'x', process: 1 } },
      7,
    ]) {
      expect(edit(body)).toBeUndefined();
    }
  });

  test.each(['{', '{"aliases":{"x":1,"y":"bad","z":"a:b:c"}}', '[]', '\u0001\u0000'])(
    'M244 damaged state loses at most the damaged aliases: %s',
    (state) => {
      guest.saved = bytes(state);
      terminal = new Terminal(guest);
      type('echo x');
      expect(lines().at(-1)).not.toContain('not found');
    },
  );

  test('M246 other packages, other nodes and look-alikes are ignored with a level-2 line', () => {
    for (const [node, process] of [
      ['n.dev', 'main:app:sys'],
      ['evil.os', 'terminal:terminal:sys'],
      ['evil.os', 'x:terminal:sys'],
      ['n.dev', 'terminal:terminal:evil.sys'],
    ] as const) {
      for (const body of ['echo x', '{"EditAlias":{"alias":"x","process":"a:b:c"}}']) {
        const source = { node, process: process as ProcessId };
        expect(
          terminal.onRequest({ source, body: bytes(body), expectsResponse: true }),
        ).toBeUndefined();
      }
    }
    expect(guest.asked).toEqual([]);
    expect(guest.saved).toBeUndefined();
    expect(guest.prints).toHaveLength(8);
    expect(guest.prints.every(([level]) => level === 2)).toBe(true);
  });
});

test('M242 any response is printed, as text or as a list of bytes', () => {
  terminal.onResponse(bytes('hello'));
  terminal.onResponse(Uint8Array.of(0xff, 1));
  expect(lines()).toEqual(['hello', '[255, 1]']);
});

describe('scripts', () => {
  test('M247 m splits by single quotes and sends the body as typed', () => {
    expect(tokens(`our@a:b:c '{"a b":1}' -a 5 ''`)).toEqual([
      'our@a:b:c',
      '{"a b":1}',
      '-a',
      '5',
      '',
    ]);
    guest.reply = () => answer('pong');
    expect(m(guest, `our@a:b:c '{"a b":1}' -a 5`)).toBe('"pong"');
    expect(guest.asked[0]).toMatchObject({
      to: 'n.dev@a:b:c',
      body: '{"a b":1}',
      options: { timeoutS: 5 },
    });
    expect(lines()).toEqual(['Awaiting response for 5s']);
  });

  test('M247 without -a it waits five seconds and prints nothing; no answer is said so', () => {
    guest.reply = () => answer('pong');
    expect(m(guest, 'our@a:b:c hi')).toBe('');
    expect(guest.asked[0]?.options?.timeoutS).toBe(5);
    guest.reply = () => ({ kind: 'timeout' });
    expect(m(guest, '-a 1 our@a:b:c hi')).toContain('no answer from our@a:b:c within 1s');
    guest.reply = () => ({ kind: 'offline' });
    expect(m(guest, 'bob.os@a:b:c hi --await 1')).toBe('bob.os is offline or does not exist');
  });

  test.each([
    '',
    'our@a:b:c',
    'a:b:c hi',
    'our@a:b hi',
    'our@a:b:c hi -a',
    'our@a:b:c hi -a x',
    'our@a:b:c two words',
  ])('M247 called wrongly, m says how: "%s"', (args) => {
    expect(m(guest, args)).toContain('usage: m');
    expect(guest.asked).toEqual([]);
  });

  test('M248 m attaches what it holds that the target issued', () => {
    guest.held = [issued('a:b:c', '"x"'), issued('d:e:f', '"y"'), issued('a:b:c', '"messaging"')];
    m(guest, 'our@a:b:c hi');
    expect(guest.asked[0]?.options?.capabilities?.map(({ params }) => params)).toEqual([
      '"x"',
      '"messaging"',
    ]);
  });

  test('M249 hi prints the answer of the peer', () => {
    guest.reply = () => ({ kind: 'response', body: bytes('ack') });
    expect(hi(guest, 'our hello there')).toBe('response from our: ack');
    expect(guest.asked[0]).toMatchObject({ to: 'n.dev@net:distro:sys', body: 'hello there' });
    guest.reply = () => ({ kind: 'timeout' });
    expect(hi(guest, 'bob.os x')).toBe('message to bob.os timed out');
  });

  test('peers, peer and net-diagnostics show what net answers, and say when it does not', () => {
    const identity: NetIdentity = {
      name: 'bob.os',
      networking_key: 'ab',
      routing: { kind: 'Direct', value: { ip: '1.2.3.4', ports: new Map([['ws', 9000]]) } },
    };
    const net = (response: NetResponse): void => {
      guest.reply = () => ({ kind: 'response', body: encodeNetResponse(response) });
    };
    net({ kind: 'Peers', value: [identity] });
    expect(peers(guest, '')).toMatch(/bob\.os +1\.2\.3\.4, ws 9000 +ab/);
    const ports = new Map([
      ['tcp', 0],
      ['ws', 0],
    ]);
    net({
      kind: 'Peer',
      value: { ...identity, routing: { kind: 'Direct', value: { ip: '::1', ports } } },
    });
    expect(peer(guest, 'bob.os')).toBe('bob.os  ::1, no ports  ab');
    net({ kind: 'Peers', value: [] });
    expect(peers(guest, '')).toBe('no peers');
    net({ kind: 'Peer', value: { ...identity, routing: { kind: 'Routers', value: ['r.os'] } } });
    expect(peer(guest, 'bob.os')).toBe('bob.os  through r.os  ab');
    net({ kind: 'Peer', value: undefined });
    expect(peer(guest, 'our')).toBe('no node called n.dev is known');
    net({ kind: 'Diagnostics', value: 'a\r\nb' });
    expect(netDiagnostics(guest, '')).toBe('a\nb');
    guest.reply = () => ({ kind: 'timeout' });
    for (const script of [peers, netDiagnostics])
      expect(script(guest, '')).toBe('the net module did not answer');
    expect(peer(guest, 'a b')).toMatch(/^usage: peer/);
  });

  test('M250 cat prints a file, and says why it cannot', () => {
    guest.files.set('/a:b/pkg/x.json', '{"x":1}');
    expect(cat(guest, '/a:b/pkg/x.json')).toBe('{"x":1}');
    expect(cat(guest, '/a:b/none')).toMatch(
      /^failed to read file \/a:b\/none from VFS\..*No such file.*\nusage: cat/s,
    );
  });

  const proc = (handle: string, onExit: unknown, capabilities: object[] = []): object => ({
    wasm_bytes_handle: handle,
    wit_version: 1,
    on_exit: onExit,
    public: false,
    capabilities,
  });

  test('M251 top lists all, one, with capabilities, and says when there is none', () => {
    const capability = { issuer: 'n.dev@vfs:distro:sys', params: '"messaging"' };
    const map = {
      'vfs:distro:sys': proc('', 'Restart'),
      'a:b:c': proc('/b:c/pkg/a.wasm', { Requests: [1, 2] }, [capability]),
    };
    guest.reply = ({ body }) =>
      answer({
        Debug: body.includes('ProcessMap')
          ? { ProcessMap: map }
          : { Process: body.includes('a:b:c') ? map['a:b:c'] : null },
      });
    expect(top(guest, '').split('\n')).toEqual([
      'PROCESS         WASM             WIT  ON EXIT       PUBLIC  CAPS',
      'a:b:c           /b:c/pkg/a.wasm  1    Requests (2)  no         1',
      'vfs:distro:sys  (runtime)        1    Restart       no         0',
      '2 processes',
    ]);
    expect(top(guest, 'a:b:c')).toContain('capabilities  1');
    expect(top(guest, 'a:b:c -c')).toContain('n.dev@vfs:distro:sys  "messaging"');
    expect(top(guest, 'x:y:z')).toBe('process x:y:z not running');
    guest.reply = () => ({ kind: 'timeout' });
    expect(top(guest, '')).toBe('the kernel did not answer');
  });

  test('M252 kill says what it did, and at once when there is no such process', () => {
    guest.reply = ({ body }) =>
      body.includes('Debug')
        ? answer({ Debug: { Process: proc('/x', 'None') } })
        : answer({ KilledProcess: 'a:b:c' });
    expect(kill(guest, 'a:b:c')).toBe('killed process a:b:c');
    expect(guest.asked.at(-1)).toMatchObject({
      body: '{"KillProcess":"a:b:c"}',
      options: { timeoutS: 60 },
    });
    guest.asked.length = 0;
    guest.reply = () => answer({ Debug: { Process: null } });
    expect(kill(guest, 'a:b:c')).toBe('process a:b:c not running');
    expect(guest.asked).toHaveLength(1);
    expect(kill(guest, 'x')).toBe('Invalid process ID.');
  });

  test('M245 alias, echo, clear-state and help', () => {
    expect(echo(guest, 'a  b')).toBe('a  b');
    expect(alias(guest, 'x a:b:c')).toBe('alias set');
    expect(guest.sent[0]).toEqual({
      to: 'n.dev@terminal:terminal:sys',
      body: '{"EditAlias":{"alias":"x","process":"a:b:c"}}',
    });
    expect(alias(guest, 'x bad')).toBe('Invalid process ID.');
    guest.reply = () => answer('DeleteState');
    expect(clearState(guest, 'a:b:c')).toBe('Deleted state of process a:b:c');
    expect(help(guest, 'nonsense')).toBe('No help found for command nonsense');
    expect(help(guest, 'constructor')).toBe('No help found for command constructor');
    expect(help(guest, 'm')).toContain('usage: m <address>');
    expect(help(guest, '').split('\n').length).toBeGreaterThan(10);
  });

  test('M251 ps is a table of live figures', () => {
    const used = {
      state: 'running',
      cpu_ms: 12.34,
      fuel: 1_234_567,
      memory_bytes: 3 * 1024 * 1024,
      messages_received: 5,
      messages_sent: 6,
      mailbox: 0,
      queued_operations: 2,
      package: { disk_bytes: 2 * 1024 * 1024, disk_bytes_max: 8 * 1024 * 1024, open_handles: 1 },
      uptime_ms: 75_400,
    };
    guest.reply = () =>
      answer({
        Debug: { Usage: { 'a:b:c': used, 'vfs:distro:sys': { ...used, state: 'module' } } },
      });
    expect(ps(guest, '').split('\n')).toEqual([
      'PROCESS  STATE      CPU   FUEL   MEMORY  IN  OUT  QUEUE  OPS         DISK        UP',
      'a:b:c    running  12 ms  1.2 M  3.0 MiB   5    6      0    2  2.0 MiB 25%  1 m 15 s',
      '1 processes; runtime modules: vfs',
    ]);
  });
});
