import { describe, expect, test } from 'vitest';
import { type Flags, helpText, parseFlags } from './main.ts';

function flags(...args: string[]): Flags {
  const parsed = parseFlags(args, '/srv');
  if (!parsed.ok || parsed.value.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.value.flags;
}

function refusal(...args: string[]): string {
  const parsed = parseFlags(args, '/srv');
  if (parsed.ok) throw new Error('accepted');
  return parsed.error;
}

describe('the command line (runtime-modules.md §13.1)', () => {
  test('M235 the home is positional, --home is its alias, start has one of its own', () => {
    expect(flags('h')).toMatchObject({
      home: '/srv/h',
      development: false,
      fakeNodeName: undefined,
    });
    expect(flags('--home', '/abs')).toMatchObject({ home: '/abs' });
    expect(flags('start')).toMatchObject({ home: '/srv/.hyperloom/dev', development: true });
    expect(flags('start', 'other', '--fresh')).toMatchObject({ home: '/srv/other', fresh: true });
    expect(flags('h', '--fake-node-name', 'alice.dev').fakeNodeName).toBe('alice.dev');
  });

  test('M235 every flag has its value, its short form and its default', () => {
    expect(flags('h')).toMatchObject({
      verbosity: 0,
      detached: false,
      logging: true,
      logBytesMax: 16_000_000,
      logFilesMax: 4,
      harts: undefined,
      withoutEffect: [],
    });
    expect(
      flags(
        'h',
        '-v',
        '3',
        '-d',
        '-l',
        '--max-log-size',
        '0',
        '--number-log-files',
        '9',
        '--harts',
        '2',
        '--soft-ulimit',
        '512',
      ),
    ).toMatchObject({
      verbosity: 3,
      detached: true,
      logging: false,
      logBytesMax: 0,
      logFilesMax: 9,
      harts: 2,
      softUlimit: 512,
    });
    expect([...flags('h', '--process-verbosity', '{"a:b:c":"Muted"}').processVerbosity]).toEqual([
      ['a:b:c', 'muted'],
    ]);
  });

  test('E21 chains are named by URL, by a file, or by the port of the development chain', () => {
    expect(flags('h').chain).toEqual({
      rpc: undefined,
      rpcConfig: undefined,
      fakechainPort: undefined,
      keepChain: false,
    });
    expect(flags('h', '--rpc', 'wss://x').chain.rpc).toBe('wss://x');
    expect(flags('h', '--rpc-config', 'f').chain.rpcConfig).toBe('f');
    expect(flags('h', '--fakechain-port', '8545', '--keep-chain').chain).toMatchObject({
      fakechainPort: 8_545,
      keepChain: true,
    });
  });

  test('M235 flags of later parts are accepted, checked, and said to have no effect', () => {
    const lines = flags(
      'h',
      '-p',
      '8080',
      '--ws-port',
      '9000',
      '--password',
      'x',
      '--expose-local',
    ).withoutEffect;
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^--port has no effect: the web server is not part/);
  });

  test.each([
    [['h', '--nonsense'], '--nonsense'],
    [['h', '--harts', 'x'], '--harts must be a whole number from 1 to 64'],
    [['h', '--harts', '0'], '--harts'],
    [['h', '--harts', '65'], '--harts'],
    [['h', '--harts'], '--harts'],
    [['h', '-v', '-1'], '--verbosity'],
    [['h', '-v', '256'], '--verbosity'],
    [['h', '-p', '65536'], '--port'],
    [['h', '--ws-port', 'x'], '--ws-port'],
    [['h', '--process-verbosity', '{'], '--process-verbosity: it is not JSON'],
    [['h', '--number-log-files', '0'], '--number-log-files'],
    [['h', '--rpc', 'a', '--rpc-config', 'b'], '--rpc-config'],
    [['h', '--fresh'], '--fresh'],
    [['h', 'i'], '"i"'],
    [['h', '--home', 'i'], 'twice'],
    [[], 'which home folder'],
    [[''], 'which home folder'],
  ])('M235 %j is refused, and says so', (args, part) => {
    expect(refusal(...args)).toContain(part);
  });

  test('M235 --help and --version win over everything else', () => {
    expect(parseFlags(['--help', '--harts', 'x'], '/')).toEqual({
      ok: true,
      value: { kind: 'help' },
    });
    expect(parseFlags(['--version'], '/')).toEqual({ ok: true, value: { kind: 'version' } });
    for (const name of ['--harts', '--fresh', '--password', 'start'])
      expect(helpText()).toContain(name);
  });
});
