/** Every flag of the command line with its help, as a table (runtime-modules.md §13.1). `flags.ts` reads them. */

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly value?: string;
  readonly help: string;
  /** The part of the node it belongs to, while that part is not built. */
  readonly later?: string;
}

export const OPTIONS = {
  home: {
    type: 'string',
    value: 'FOLDER',
    help: 'the home folder (same as the positional argument)',
  },
  fresh: { type: 'boolean', help: 'with start: wipe the development home first' },
  'fake-node-name': {
    type: 'string',
    value: 'NAME',
    help: 'run under a made-up identity, such as alice.dev',
  },
  harts: { type: 'string', value: 'N', help: 'threads that run processes, 1 to 64 (default 1)' },
  detached: { type: 'boolean', short: 'd', help: 'read no input' },
  verbosity: {
    type: 'string',
    short: 'v',
    value: '0-4',
    help: 'which prints are shown (default 0)',
  },
  'process-verbosity': {
    type: 'string',
    value: 'JSON',
    help: 'per process: {"p:k:q":{"U8":3},"a:b:c":"Muted"}',
  },
  'logging-off': { type: 'boolean', short: 'l', help: 'start with the terminal log off' },
  'max-log-size': {
    type: 'string',
    value: 'BYTES',
    help: 'all log files together (default 16000000; 0: one file, no limit)',
  },
  'number-log-files': { type: 'string', value: 'N', help: 'log files kept (default 4)' },
  'soft-ulimit': { type: 'string', value: 'N', help: 'file descriptors the node may use' },
  port: {
    type: 'string',
    short: 'p',
    value: 'PORT',
    help: 'web server (default the first free of 8080 to 8998; 0: any)',
  },
  listen: {
    type: 'string',
    value: 'ADDRESS',
    help: 'address of the web server (default 0.0.0.0; development nodes: 127.0.0.1)',
  },
  'tls-cert': { type: 'string', value: 'FILE', help: 'serve https: certificate chain, PEM' },
  'tls-key': { type: 'string', value: 'FILE', help: 'and its private key, PEM' },
  'trust-proxy': {
    type: 'string',
    value: 'ADDRESSES',
    help: 'reverse proxies on other machines, such as 10.0.0.2,10.1.0.0/16',
  },
  'expose-local': {
    type: 'boolean',
    help: 'answer local RPC and local-only pages, on this machine (on with start)',
  },
  extensions: { type: 'boolean', help: 'let native programs pair with processes (on with start)' },
  'max-channels': { type: 'string', value: 'N', help: 'WebSockets open at a time (default 128)' },
  'metrics-port': {
    type: 'string',
    value: 'PORT',
    help: 'serve /metrics and /health on 127.0.0.1 (default off)',
  },
  'http-client-allow': {
    type: 'string',
    value: 'HOSTS',
    help: 'private hosts that processes may reach, such as db.lan,10.0.0.0/8 (docs/http-client.md)',
  },
  'ws-port': {
    type: 'string',
    value: 'PORT',
    help: 'peers over WebSocket (default the first free from 9000; 0: none)',
  },
  'tcp-port': {
    type: 'string',
    value: 'PORT',
    help: 'peers over TCP (default the first free from 10000; 0: none)',
  },
  'ws-over-http': {
    type: 'boolean',
    help: "peers over WebSocket at the web server's port; behind a proxy --ws-port is the proxy's",
  },
  'max-peers': { type: 'string', value: 'N', help: 'nodes connected at a time (default 32)' },
  'max-passthroughs': {
    type: 'string',
    value: 'N',
    help: 'be a router: pairs of nodes relayed at a time (default 0)',
  },
  wire: {
    type: 'string',
    value: 'KIND',
    help: 'reference: offer other nodes nothing beyond the reference protocol (default hl/1)',
  },
  'dev-network': {
    type: 'string',
    value: 'FOLDER',
    help: 'development nodes that share this folder find each other (with start: .hyperloom/network)',
  },
  'reveal-ip': { type: 'boolean', help: 'accepted; whether a node is direct is said on chain' },
  rpc: { type: 'string', value: 'URL', help: 'a provider of the chain to trust, wss://...' },
  'rpc-config': { type: 'string', value: 'FILE', help: 'several: [{"url":...,"auth":...}]' },
  'fakechain-port': {
    type: 'string',
    value: 'PORT',
    help: 'the development chain at this port: an existing one, or a development node starts it',
  },
  'keep-chain': { type: 'boolean', help: 'keep the development chain in the home' },
  password: { type: 'string', value: 'TEXT', help: 'opens the keyfile (others can see it: ps)' },
  'password-file': { type: 'string', value: 'FILE', help: 'its first line opens the keyfile' },
  'setup-public': {
    type: 'boolean',
    help: 'set the node up from other machines, with a code shown here',
  },
  help: { type: 'boolean', short: 'h', help: 'this text' },
  version: { type: 'boolean', help: 'print the version' },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

/** For node:util's parseArgs. */
export function parseOptions(): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    (Object.entries(OPTIONS) as [string, Option][]).map(([name, { type, short }]) => [
      name,
      short === undefined ? { type } : { type, short },
    ]),
  );
}

/** `--help`. */
export function helpText(): string {
  const lines = (Object.entries(OPTIONS) as [string, Option][]).map(([name, option]) => {
    const flag = `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${option.value === undefined ? '' : ` ${option.value}`}`;
    const later = option.later === undefined ? '' : ' (accepted; not part of this build yet)';
    return `  ${flag.padEnd(32)} ${option.help}${later}`;
  });
  return [
    'hyperloom start                        a development node at once, in ./.hyperloom/dev',
    'hyperloom <home> --fake-node-name NAME a development node with a home and name of your own',
    'hyperloom <home>                       a real node; the first start registers it, in a browser',
    'hyperloom register <home> --name NAME  registers it here; see hyperloom register --help',
    'hyperloom keyfile export|import|change-password    see hyperloom keyfile --help',
    'hyperloom extension gpu                runs jobs on this machine for a node; see hyperloom extension gpu --help',
    'hyperloom backup <home> <file>         the home into one encrypted file, while its node runs or not',
    'hyperloom restore <file> <home>        a backup into a new home',
    '                                       both: --password-file FILE, or the password is asked for',
    '',
    'Flags',
    ...lines,
    '',
    'In the terminal: help lists its commands; Ctrl-C or Ctrl-D shuts down. More in docs/operating.md.',
  ].join('\n');
}
