/**
 * The web server's part of the composition: files and flags to options, and who decides access, logs in and keeps channels. Only
 * node.ts calls it.
 */
import { readFile } from 'node:fs/promises';
import type { KernelPort } from './kernel/module.ts';
import {
  type Figure,
  httpServer,
  type HttpServerModule,
  ListenError,
  type Tls,
} from './runtime-modules/http-server/index.ts';
import { ANSWER_S_DEFAULT, ANSWER_S_DEVELOPMENT } from './runtime-modules/http-server/limits.ts';
import type { AccessTo, Channels, Login } from './runtime-modules/http-server/parts.ts';
import type { Clock } from './runtime-modules/shared/clock.ts';
import type { ProcessUsage } from './wit/kernel-api.ts';
import type { PackageId } from './wit/types.ts';

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
  readonly development: boolean;
  readonly port: KernelPort;
  readonly clock: Clock;
  readonly version: string;
  readonly figures: () => readonly Figure[];
  /** Absent: what needs a login is refused. */
  readonly accessTo?: AccessTo | undefined;
  readonly login?: Login | undefined;
  readonly labelOf?: ((of: PackageId) => string) | undefined;
  /** Absent: upgrades are answered as ordinary requests. */
  readonly channels?:
    | ((options: { readonly channelsMax: number | undefined }) => Channels)
    | undefined;
}

export interface Web {
  readonly module: HttpServerModule;
}

/** The module, not listening yet. @throws ListenError when a file or a proxy's address cannot be used */
export async function webOf(config: WebConfig = {}, needs: WebNeeds): Promise<Web> {
  const { development, port, clock, version, figures, accessTo, login, labelOf } = needs;
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
  const channels = needs.channels?.({ channelsMax });
  const parts = { port, clock, version, figures, accessTo, login, labelOf, channels };
  try {
    return { module: httpServer(options)(parts) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ListenError('address', `--trust-proxy: ${error.message}.`, { cause: error });
  }
}

async function readTls({ certFile, keyFile }: NonNullable<WebConfig['tls']>): Promise<Tls> {
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
