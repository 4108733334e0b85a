import { describe, expect, test } from 'vitest';
import { helpText } from './flag-options.ts';
import { type Flags, parseFlags } from './flags.ts';

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

  test('M236 flags of the web server', () => {
    expect(flags('h').web).toEqual({
      port: undefined,
      host: undefined,
      tls: undefined,
      exposeLocal: false,
      extensions: false,
      trustedProxies: [],
      metricsPort: undefined,
      channelsMax: undefined,
    });
    expect(flags('h', '--fake-node-name', 'a.dev').web).toMatchObject({ exposeLocal: false });
    expect(flags('start', '--listen', '::1').web).toMatchObject({
      host: '::1',
      exposeLocal: true,
      extensions: true,
    });
    const all =
      'h -p 80 --listen 10.0.0.1 --tls-cert c.pem --tls-key /k.pem --expose-local --extensions ' +
      '--max-channels 4096 --metrics-port 9100 --trust-proxy 10.0.0.2,10.1.0.0/16';
    expect(flags(...all.split(' ')).web).toEqual({
      port: 80,
      host: '10.0.0.1',
      tls: { certFile: '/srv/c.pem', keyFile: '/k.pem' },
      exposeLocal: true,
      extensions: true,
      trustedProxies: ['10.0.0.2', '10.1.0.0/16'],
      metricsPort: 9100,
      channelsMax: 4096,
    });
  });

  test('F31 flags of the identity and of its chain', () => {
    expect(flags('h').identity).toEqual({
      password: undefined,
      passwordFile: undefined,
      setupPublic: false,
      chain: { rpc: undefined, rpcConfig: undefined, fakechainPort: undefined },
      ports: {},
    });
    expect(
      flags('h', '--password-file', 'p', '--setup-public', '--rpc-config', 'r', '--tcp-port', '0')
        .identity,
    ).toMatchObject({
      passwordFile: '/srv/p',
      setupPublic: true,
      chain: { rpcConfig: '/srv/r' },
      ports: { tcp: 0 },
    });
    expect(flags('h', '--rpc', 'wss://x', '--fakechain-port', '8545').identity.chain).toEqual({
      rpc: 'wss://x',
      rpcConfig: undefined,
      fakechainPort: 8545,
    });
    expect(refusal('h', '--password', 'a', '--password-file', 'b')).toContain('exclude each other');
  });

  test('E21 chains are named by URL, by a file, or by the port of the development chain', () => {
    expect(flags('h').chain).toEqual({
      rpc: undefined,
      rpcConfig: undefined,
      fakechainPort: undefined,
      keepChain: false,
    });
    expect(flags('h', '--rpc', 'wss://x').chain.rpc).toBe('wss://x');
    expect(flags('h', '--rpc-config', 'f').chain.rpcConfig).toBe('/srv/f');
    expect(flags('h', '--fakechain-port', '8545', '--keep-chain').chain).toMatchObject({
      fakechainPort: 8_545,
      keepChain: true,
    });
  });

  test('M235 --reveal-ip is accepted: its default is on, and nothing depends on it', () => {
    const lines = flags('h', '--reveal-ip').withoutEffect;
    expect(lines).toEqual([]);
  });

  test('flags of networking; start finds other development nodes by itself', () => {
    expect(
      flags('h', '--tcp-port', '0', '--max-peers', '7', '--wire', 'reference').network,
    ).toEqual({
      wsPort: undefined,
      wsOverHttp: false,
      tcpPort: 0,
      maxPeers: 7,
      maxPassthroughs: undefined,
      wire: 'reference',
      developmentFolder: undefined,
    });
    expect(flags('start').network.developmentFolder).toMatch(/\.hyperloom.network$/);
    const named = flags('h', '--fake-node-name', 'a.dev', '--dev-network', '/tmp/n').network;
    expect(named.developmentFolder).toBe('/tmp/n');
    const over = (...args: string[]) => flags('h', '--ws-over-http', ...args).network.wsPort;
    expect(over('--port', '8080')).toBe(8_080);
    expect(over('--port', '8080', '--ws-port', '80')).toBe(80);
    expect(over('--fake-node-name', 'a.dev')).toBeUndefined();
  });

  test.each([
    [['h', '--wire', 'other'], '--wire must be'],
    [['h', '--dev-network', 'x'], '--dev-network is for development nodes'],
    [['h', '--ws-over-http'], '--ws-over-http: say at which port'],
    [['h', '--ws-over-http', '--port', '0'], '--ws-over-http: say at which port'],
    [['h', '--max-peers', '0'], '--max-peers'],
    [['h', '--nonsense'], '--nonsense'],
    [['h', '--harts', 'x'], '--harts must be a whole number from 1 to 64'],
    [['h', '--harts', '0'], '--harts'],
    [['h', '--harts', '65'], '--harts'],
    [['h', '--harts'], '--harts'],
    [['h', '-v', '-1'], '--verbosity'],
    [['h', '-v', '256'], '--verbosity'],
    [['h', '-p', '65536'], '--port'],
    [['h', '--max-channels', '0'], '--max-channels'],
    [['h', '--tls-cert', 'c'], '--tls-cert and --tls-key'],
    [['h', '--tls-key', 'c'], '--tls-cert and --tls-key'],
    [['h', '--listen', 'example.org'], '--listen must be an address'],
    [['start', '--listen', '0.0.0.0'], 'loopback addresses only'],
    [['h', '--fake-node-name', 'a.dev', '--listen', '::'], 'loopback addresses only'],
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
