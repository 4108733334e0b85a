/** The command line (runtime-modules.md §13.1; docs/operating.md has every flag): arguments to checked flags, or a sentence that says why not. */
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseAllowed } from '../runtime-modules/shared/outbound/address-policy.ts';
import type { HostPattern } from '../runtime-modules/shared/outbound/host-pattern.ts';
import {
  type ProcessVerbosity,
  parseProcessVerbosity,
} from '../runtime-modules/terminal/verbosity.ts';
import { type Option, OPTIONS, type OptionName, parseOptions } from './flag-options.ts';
import type { ProcessId, Result } from '../wit/types.ts';

const DEVELOPMENT_HOME = join('.hyperloom', 'dev');
const DEVELOPMENT_NETWORK = join('.hyperloom', 'network');

/** What the command line asked for, checked. */
export interface Flags {
  readonly home: string;
  /** Name of a made-up identity; undefined with `development` false: a real node. */
  readonly fakeNodeName: string | undefined;
  /** `start`: a development node, whatever the name. */
  readonly development: boolean;
  readonly fresh: boolean;
  readonly web: WebFlags;
  readonly identity: IdentityFlags;
  readonly chain: ChainFlags;
  readonly network: NetworkFlags;
  /** What processes reach beside the public internet. */
  readonly httpClientAllow: readonly HostPattern[];
  readonly harts: number | undefined;
  readonly verbosity: number;
  readonly processVerbosity: ReadonlyMap<ProcessId, ProcessVerbosity>;
  readonly detached: boolean;
  readonly logging: boolean;
  readonly logBytesMax: number;
  readonly logFilesMax: number;
  readonly softUlimit: number | undefined;
  /** Flags of modules that this build does not have, as given; accepted, and said to have no effect. */
  readonly withoutEffect: readonly string[];
}

/** Of the web server. */
export interface WebFlags {
  readonly port: number | undefined;
  readonly host: string | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly exposeLocal: boolean;
  readonly extensions: boolean;
  readonly trustedProxies: readonly string[];
  readonly metricsPort: number | undefined;
  readonly channelsMax: number | undefined;
}

/** Of chains (eth.md §6). */
export interface ChainFlags {
  readonly rpc: string | undefined;
  /** Absolute. */
  readonly rpcConfig: string | undefined;
  readonly fakechainPort: number | undefined;
  readonly keepChain: boolean;
}

/** Of a registered node's identity, and of the chain it is on. */
export interface IdentityFlags {
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
  readonly setupPublic: boolean;
  readonly chain: {
    readonly rpc: string | undefined;
    readonly rpcConfig: string | undefined;
    readonly fakechainPort: number | undefined;
  };
  readonly ports: { readonly ws?: number; readonly tcp?: number };
}

/** Of networking. */
export interface NetworkFlags {
  readonly wsPort: number | undefined;
  readonly wsOverHttp: boolean;
  readonly tcpPort: number | undefined;
  readonly maxPeers: number | undefined;
  readonly maxPassthroughs: number | undefined;
  readonly wire: 'reference' | 'hl/1' | undefined;
  readonly developmentFolder: string | undefined;
}

export type Command =
  | { readonly kind: 'run'; readonly flags: Flags }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

/** Reads the arguments. A refusal is a sentence that names the flag and says what to do. */
export function parseFlags(args: readonly string[], cwd: string): Result<Command, string> {
  let values: Partial<Record<OptionName, string | boolean>>;
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({
      args: [...args],
      options: parseOptions(),
      allowPositionals: true,
      strict: true,
    }));
  } catch (error) {
    return refuse(`${(error as Error).message.split('. ')[0]}. See hyperloom --help.`);
  }
  if (values.help === true) return { ok: true, value: { kind: 'help' } };
  if (values.version === true) return { ok: true, value: { kind: 'version' } };
  return runFlags(new Values(values), positionals, cwd);
}

function runFlags(
  values: Values,
  positionals: readonly string[],
  cwd: string,
): Result<Command, string> {
  const development = positionals[0] === 'start';
  const [folder, ...extra] = positionals.slice(development ? 1 : 0);
  if (extra.length > 0) {
    return refuse(
      `one home folder is enough, but there is also "${extra[0]}". See hyperloom --help.`,
    );
  }
  const named = values.text('home');
  if (named !== undefined && folder !== undefined) {
    return refuse(
      `the home is given twice, as "${folder}" and as --home "${named}"; leave one out.`,
    );
  }
  const home = named ?? folder ?? (development ? DEVELOPMENT_HOME : undefined);
  if (home === undefined || home === '') {
    return refuse(
      'say which home folder: hyperloom <home>, or hyperloom start for a development node.',
    );
  }
  if (values.flag('fresh') && !development) {
    return refuse('--fresh wipes the home, so it only goes with "start", the development node.');
  }
  const processVerbosity = parseProcessVerbosity(values.text('process-verbosity') ?? '{}');
  if (!processVerbosity.ok) return refuse(`--process-verbosity: ${processVerbosity.error}.`);
  const identity = identityFlags(values, cwd);
  const flags: Flags = {
    home: resolve(cwd, home),
    fakeNodeName: values.text('fake-node-name'),
    development,
    fresh: values.flag('fresh'),
    web: webFlags(values, development, cwd),
    identity,
    chain: { ...identity.chain, keepChain: values.flag('keep-chain') },
    network: networkFlags(values, development, cwd),
    httpClientAllow: allowedHosts(values),
    harts: values.number('harts', 1, 64),
    verbosity: values.number('verbosity', 0, 255) ?? 0,
    processVerbosity: processVerbosity.value,
    detached: values.flag('detached'),
    logging: !values.flag('logging-off'),
    logBytesMax: values.number('max-log-size', 0, Number.MAX_SAFE_INTEGER) ?? 16_000_000,
    logFilesMax: values.number('number-log-files', 1, 10_000) ?? 4,
    softUlimit: values.number('soft-ulimit', 41, 10_000_000),
    withoutEffect: values.later(),
  };
  if (values.text('rpc') !== undefined && values.text('rpc-config') !== undefined) {
    return refuse('--rpc and --rpc-config exclude each other; leave one out.');
  }
  if (values.error !== undefined) return refuse(values.error);
  return { ok: true, value: { kind: 'run', flags } };
}

function identityFlags(values: Values, cwd: string): IdentityFlags {
  const file = (name: 'password-file' | 'rpc-config'): string | undefined => {
    const path = values.text(name);
    return path === undefined ? undefined : resolve(cwd, path);
  };
  const ws = wsPort(values);
  const tcp = values.number('tcp-port', 0, 65_535);
  const password = values.text('password');
  const passwordFile = file('password-file');
  if (password !== undefined && passwordFile !== undefined)
    values.error ??= '--password and --password-file exclude each other; leave one out.';
  return {
    password,
    passwordFile,
    setupPublic: values.flag('setup-public'),
    chain: {
      rpc: values.text('rpc'),
      rpcConfig: file('rpc-config'),
      fakechainPort: values.number('fakechain-port', 1, 65_535),
    },
    ports: { ...(ws === undefined ? {} : { ws }), ...(tcp === undefined ? {} : { tcp }) },
  };
}

/** Where others are to connect over WebSocket. Only a node that finds a port by itself may leave it open which. */
function wsPort(values: Values): number | undefined {
  const port = values.number('ws-port', 0, 65_535);
  if (port !== undefined || !values.flag('ws-over-http')) return port;
  const web = values.number('port', 0, 65_535);
  return web === 0 ? undefined : web;
}

function webFlags(values: Values, development: boolean, cwd: string): WebFlags {
  const file = (name: 'tls-cert' | 'tls-key'): string | undefined => {
    const path = values.text(name);
    return path === undefined ? undefined : resolve(cwd, path);
  };
  const certFile = file('tls-cert');
  const keyFile = file('tls-key');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    values.error ??= '--tls-cert and --tls-key go together; give both.';
  }
  const host = values.text('listen');
  if (host !== undefined && isIP(host) === 0) {
    values.error ??= `--listen must be an address such as 0.0.0.0 or ::1, not "${host}".`;
  }
  const fake = development || values.text('fake-node-name') !== undefined;
  if (fake && host !== undefined && host !== '::1' && !host.startsWith('127.')) {
    values.error ??=
      '--listen: a development node takes any password, so it listens on loopback addresses only.';
  }
  const proxies = values.text('trust-proxy');
  return {
    port: values.number('port', 0, 65_535),
    host,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    exposeLocal: development || values.flag('expose-local'),
    extensions: development || values.flag('extensions'),
    trustedProxies: proxies === undefined ? [] : proxies.split(',').map((each) => each.trim()),
    metricsPort: values.number('metrics-port', 0, 65_535),
    channelsMax: values.number('max-channels', 1, 65_536),
  };
}

function networkFlags(values: Values, development: boolean, cwd: string): NetworkFlags {
  const wire = values.text('wire');
  if (wire !== undefined && wire !== 'reference' && wire !== 'hl/1') {
    values.error ??= `--wire must be reference or hl/1, not "${wire}".`;
  }
  const given = values.text('dev-network');
  if (given !== undefined && !development && values.text('fake-node-name') === undefined) {
    values.error ??=
      '--dev-network is for development nodes: it goes with start or --fake-node-name.';
  }
  const folder = given ?? (development ? DEVELOPMENT_NETWORK : undefined);
  const wsOverHttp = values.flag('ws-over-http');
  const fake = development || values.text('fake-node-name') !== undefined;
  if (wsOverHttp && !fake && wsPort(values) === undefined) {
    values.error ??=
      '--ws-over-http: say at which port others reach the web server, with --port or, behind a proxy, with --ws-port.';
  }
  return {
    wsPort: wsPort(values),
    wsOverHttp,
    tcpPort: values.number('tcp-port', 0, 65_535),
    maxPeers: values.number('max-peers', 1, 1_000_000),
    maxPassthroughs: values.number('max-passthroughs', 0, 1_000_000),
    wire: wire === 'reference' || wire === 'hl/1' ? wire : undefined,
    developmentFolder: folder === undefined ? undefined : resolve(cwd, folder),
  };
}

function allowedHosts(values: Values): readonly HostPattern[] {
  const text = values.text('http-client-allow');
  const allowed = parseAllowed(
    text === undefined ? [] : text.split(',').map((each) => each.trim()),
  );
  if (allowed.ok) return allowed.value;
  values.error ??= `--http-client-allow: ${allowed.error}`;
  return [];
}

/** Flag values with their checks; the first refusal is kept. */
class Values {
  readonly #values: Partial<Record<OptionName, string | boolean>>;
  error: string | undefined;

  constructor(values: Partial<Record<OptionName, string | boolean>>) {
    this.#values = values;
  }

  flag(name: OptionName): boolean {
    return this.#values[name] === true;
  }

  text(name: OptionName): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  number(name: OptionName, from: number, to: number): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= from && number <= to) return number;
    this.error ??= `--${name} must be a whole number from ${from} to ${to}, not "${value}".`;
    return undefined;
  }

  later(): string[] {
    return (Object.entries(OPTIONS) as [OptionName, Option][])
      .filter(([name, option]) => option.later !== undefined && this.#values[name] !== undefined)
      .map(
        ([name, option]) =>
          `--${name} has no effect: ${option.later} is not part of this build yet`,
      );
  }
}

function refuse(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
