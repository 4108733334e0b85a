/**
 * The web server's part of the composition: files and flags to options, and who decides access, logs in and keeps channels. Only
 * node.ts calls it.
 */
import { readFile } from 'node:fs/promises';
import type { KernelPort } from '../kernel/module.ts';
import {
  accessTo,
  type BoundPath,
  type Visitor,
} from '../runtime-modules/http-server/login/access.ts';
import { Channels, channelsNeeds } from '../runtime-modules/http-server/channels/channels.ts';
import {
  type Figure,
  httpServer,
  type HttpServerModule,
  ListenError,
  type Tls,
} from '../runtime-modules/http-server/index.ts';
import { ANSWER_S_DEFAULT, ANSWER_S_DEVELOPMENT } from '../runtime-modules/http-server/limits.ts';
import { Login } from '../runtime-modules/http-server/login/login.ts';
import { SecureLabels } from '../runtime-modules/http-server/bindings/secure-labels.ts';
import type { PeerSockets } from '../runtime-modules/http-server/parts.ts';
import { Sessions } from '../runtime-modules/http-server/login/session.ts';
import type { LoginIdentity } from '../runtime-modules/identity/login-identity.ts';
import type { FileStreams } from '../runtime-modules/shared/file-streams.ts';
import type { Clock } from '../runtime-modules/shared/clock.ts';
import type { ProcessUsage } from '../wit/kernel-api.ts';

export interface WebConfig {
  /** Default: the first free of 8080 to 8998; 0: any. */
  readonly port?: number | undefined;
  readonly host?: string | undefined;
  /** Files, PEM. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly exposeLocal?: boolean | undefined;
  readonly extensions?: boolean | undefined;
  readonly trustedProxies?: readonly string[] | undefined;
  readonly metricsPort?: number | undefined;
  /** WebSockets open at a time. */
  readonly channelsMax?: number | undefined;
}

export interface WebNeeds {
  readonly identity: LoginIdentity;
  readonly port: KernelPort;
  readonly clock: Clock;
  readonly version: string;
  readonly figures: () => readonly Figure[];
  /** Takes other nodes that connect at the web server's port. */
  readonly peers?: PeerSockets | undefined;
  /** Known when vfs is registered. */
  readonly files: () => FileStreams | undefined;
}

/** The module, not listening yet. @throws ListenError when a file or a proxy's address cannot be used */
export async function webOf(config: WebConfig = {}, needs: WebNeeds): Promise<HttpServerModule> {
  const { identity, port, clock, version, figures, files, peers } = needs;
  const { development } = identity;
  const { metricsPort, channelsMax } = config;
  const options = {
    port: config.port,
    host: config.host,
    tls: config.tls === undefined ? undefined : await readTls(config.tls),
    development,
    exposeLocal: config.exposeLocal ?? false,
    extensions: config.extensions ?? false,
    trustedProxies: config.trustedProxies,
    answerS: development ? ANSWER_S_DEVELOPMENT : ANSWER_S_DEFAULT,
    metrics: metricsPort === undefined ? undefined : { port: metricsPort },
  };
  const sessions = new Sessions({
    node: identity.name,
    secret: identity.sessionSecret,
    nowS: () => Math.floor(Date.now() / 1000),
  });
  const labels = new SecureLabels();
  const parts = {
    port,
    clock,
    version,
    figures,
    peers,
    files,
    labels,
    accessTo: (visitor: Visitor, binding: BoundPath, isSecureLabel: (label: string) => boolean) =>
      accessTo(visitor, binding, isSecureLabel, sessions),
    login: await Login.open({
      identity,
      sessions,
      clock,
      isSecureLabel: labels.has,
      print: (verbosity, text) => port.print(verbosity, text),
    }),
    channels: new Channels(
      channelsMax === undefined ? {} : { channelsMax },
      channelsNeeds(port, clock),
    ),
  };
  try {
    return httpServer(options)(parts);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ListenError('address', `--trust-proxy: ${error.message}.`, { cause: error });
  }
}

/** Two files, PEM. @throws ListenError */
export async function readTls({ certFile, keyFile }: NonNullable<WebConfig['tls']>): Promise<Tls> {
  try {
    return { cert: await readFile(certFile), key: await readFile(keyFile) };
  } catch (cause) {
    throw new ListenError('tls', `cannot read a TLS file: ${(cause as Error).message}`, { cause });
  }
}

/** What the node adds to the web server's metrics. */
export function figuresOf(processes: Iterable<ProcessUsage>): readonly Figure[] {
  const usage = [...processes];
  const total = (of: (one: ProcessUsage) => number): number =>
    usage.reduce((sum, one) => sum + of(one), 0);
  return [
    { name: 'hyperloom_processes', help: 'Processes and modules there are.', value: usage.length },
    {
      name: 'hyperloom_mailbox_messages',
      help: 'Requests that wait in mailboxes.',
      value: total((one) => one.mailbox),
    },
  ];
}
