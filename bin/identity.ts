/**
 * The identity's part of the composition: how a home gets one, through its setup pages or by a password, and what that needs of chain,
 * web server and disk. Only node.ts and the commands in bin/ call it.
 */
import { hkdfSync, type KeyObject, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  chainIdOf,
  type ChainConfig,
  keepProviders,
  NodeReads,
  placeOf,
  providersOf,
  shownProviders,
} from './chain-reads.ts';
import { Sessions } from '../runtime-modules/http-server/login/session.ts';
import { serveSetup } from '../runtime-modules/http-server/setup/server.ts';
import {
  developmentIdentity,
  type Identity,
  IdentityError,
} from '../runtime-modules/identity/development.ts';
import { readKeys } from '../runtime-modules/identity/keys-file.ts';
import { hashPassword } from '../runtime-modules/identity/password.ts';
import { registeredIdentity, type OpenedNode } from '../runtime-modules/identity/registered.ts';
import { Namespace } from '../runtime-modules/identity/registration/namespace.ts';
import {
  freePort,
  PEER_PORTS_FIRST,
  publicIp,
  UNKNOWN_IP,
} from '../runtime-modules/identity/registration/reach.ts';
import {
  type Extras,
  Registration,
  type RegistrationNeeds,
} from '../runtime-modules/identity/registration/registration.ts';
import type { Ports } from '../runtime-modules/identity/routing.ts';
import type { Clock } from '../runtime-modules/shared/clock.ts';
import { readTls, type WebConfig } from './web.ts';

export interface IdentityConfig {
  /** Opens the keyfile without the setup pages. */
  readonly password?: string | undefined;
  /** Its first line is the password. */
  readonly passwordFile?: string | undefined;
  /** Set up from other machines too, with a code (F31). */
  readonly setupPublic?: boolean | undefined;
  readonly chain?: ChainConfig | undefined;
  /** Where peers are to reach the node; 0: not offered. */
  readonly ports?: Ports | undefined;
}

export interface IdentityNeeds {
  readonly home: string;
  readonly web: WebConfig;
  readonly clock: Clock;
  /** A line for whoever sits at the terminal. */
  readonly tell: (line: string) => void;
  /** Unix milliseconds; the machine's clock if undefined. */
  readonly wallMs?: () => number;
}

/** An identity, and the port its setup was served on, which the node goes on with. */
export interface Opened {
  readonly identity: Identity;
  readonly port: number | undefined;
}

const PLAIN_HTTP =
  'Without --tls-cert, whoever is on the way between your browser and this machine can read along, what opens the keyfile included.';

/** Routers that anybody may use, `default-router-1.hypr` and on. */
const DEFAULT_ROUTERS = Array.from(
  { length: 12 },
  (_, index) => `default-router-${index + 1}.hypr`,
);
/** Of those, how many a node is given. */
const ROUTERS_GIVEN = 3;
/** Packages whose drive holds the list of nodes to ask for a snapshot of the namespace. */
const CACHE_READERS = ['hypermap-cacher:sys', 'hns-indexer:sys'];

/** What of a node's configuration its identity depends on. */
export interface NodeIdentityConfig {
  readonly home: string;
  readonly fakeNodeName?: string | undefined;
  readonly web?: WebConfig | undefined;
  readonly identity?: IdentityConfig | undefined;
}

/** A development node's made-up identity, or a registered one. @throws IdentityError, ListenError */
export async function openIdentity(
  { home, fakeNodeName, web, identity }: NodeIdentityConfig,
  {
    development,
    ...needs
  }: Pick<IdentityNeeds, 'clock' | 'tell'> & { readonly development: boolean },
): Promise<Opened> {
  if (development)
    return { identity: await developmentIdentity(home, fakeNodeName), port: undefined };
  if (identity === undefined || web === undefined)
    throw new IdentityError('not-registered', `${home} was given no way to get an identity.`);
  return openRegistered(identity, { home, web, ...needs });
}

/** The 32 bytes of the Ed25519 private key; never as text, which could not be overwritten (F33). The caller overwrites them. */
export function seedOf(key: KeyObject): Uint8Array {
  return key.export({ format: 'raw-private' });
}

/** Under which cached images are vouched for (F10): nobody without the node's key can plant code. */
export function cacheKey(seed: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, '', 'hyperloom image cache', 32));
}

/**
 * The identity of a registered home; without a password, when somebody has set it up or logged in at its pages.
 * @throws IdentityError, ListenError
 */
export async function openRegistered(
  config: IdentityConfig,
  needs: IdentityNeeds,
): Promise<Opened> {
  const chain = config.chain ?? {};
  using reads = await openReads(chain, needs);
  using registration = await openRegistration(config, { ...needs, reads });
  const password = await passwordOf(config);
  if (password === undefined) return await setUp(config, needs, registration);
  const keyfile = await registration.keyfile();
  if (!keyfile.ok) throw new IdentityError('damaged', keyfile.error.text);
  if (keyfile.value === undefined) {
    throw new IdentityError(
      'not-registered',
      `${needs.home} has no keyfile for the password to open. Start it without one to register a name, or see hyperloom register and hyperloom keyfile import.`,
    );
  }
  const opened = await registration.unlock(await hashPassword(password, keyfile.value.username));
  if (opened.ok) return { identity: registeredIdentity(opened.value), port: undefined };
  const { status, text } = opened.error;
  if (status === 401)
    throw new IdentityError(
      'wrong-password',
      `that is not the password of ${keyfile.value.username}.`,
    );
  throw new IdentityError(
    status === 500 ? 'other-key' : status === 400 ? 'damaged' : 'chain',
    text,
  );
}

/** For commands that need the chain. The caller disposes of it. @throws IdentityError */
export async function openReads(
  chain: ChainConfig,
  { home, clock, tell }: Pick<IdentityNeeds, 'home' | 'clock' | 'tell'>,
): Promise<NodeReads> {
  return new NodeReads(chainIdOf(chain), await providersOf(home, chain), { clock, tell });
}

/** The caller disposes of it. */
export async function openRegistration(
  config: IdentityConfig,
  needs: Omit<IdentityNeeds, 'web'> & { readonly reads: NodeReads },
): Promise<Registration> {
  const chain = config.chain ?? {};
  const { home, clock, tell, reads } = needs;
  const options: RegistrationNeeds = {
    home,
    namespace: new Namespace(placeOf(chain), reads),
    clock,
    wallMs: needs.wallMs ?? Date.now,
    // Nodes of a development chain meet on this machine.
    publicIp: chain.fakechainPort === undefined ? publicIp : () => Promise.resolve(UNKNOWN_IP),
    ports: await offered(config.ports ?? {}),
    wantedPorts: config.ports ?? {},
    routers: someRouters(),
    keep: (extras) => keep(home, chain, extras),
    tell,
  };
  return new Registration(options);
}

async function setUp(
  config: IdentityConfig,
  { home, web, clock, tell, wallMs = Date.now }: IdentityNeeds,
  registration: Registration,
): Promise<Opened> {
  const chain = config.chain ?? {};
  const session = ({ keyfile, secrets }: OpenedNode, secure: boolean): string =>
    new Sessions({
      node: keyfile.username,
      secret: secrets.sessionKey(),
      nowS: () => Math.floor(wallMs() / 1_000),
    }).start(null, { secure });
  let opened: OpenedNode;
  let port: number;
  {
    await using server = await serveSetup(
      {
        port: web.port,
        host: web.host,
        tls: web.tls === undefined ? undefined : await readTls(web.tls),
        public: config.setupPublic ?? false,
      },
      {
        registration,
        clock,
        tell,
        session,
        chain: described(chain),
        providers: async () => shownProviders(await providersOf(home, chain)),
        cacheSources: await cacheSourcesOf(home),
      },
    );
    ({ port } = server);
    if (config.setupPublic === true && web.tls === undefined) tell(PLAIN_HTTP);
    const keys = await readKeys(home);
    const what = keys.ok && keys.value === undefined ? 'Set it up' : 'Log in';
    tell(`This node is not up yet. ${what} at ${server.url}`);
    opened = await registration.done;
  }
  return { identity: registeredIdentity(opened), port };
}

function described({ fakechainPort }: ChainConfig): { name: string; rpcUrls: readonly string[] } {
  return fakechainPort === undefined
    ? { name: 'Base', rpcUrls: ['https://mainnet.base.org'] }
    : { name: 'Hyperloom development chain', rpcUrls: [`http://127.0.0.1:${fakechainPort}`] };
}

async function passwordOf(config: IdentityConfig): Promise<string | undefined> {
  if (config.passwordFile === undefined) return config.password;
  try {
    const [line = ''] = (await readFile(config.passwordFile, 'utf8')).split(/\r?\n/, 1);
    if (line !== '') return line;
  } catch (cause) {
    throw new IdentityError('unreadable', `--password-file: ${(cause as Error).message}`, {
      cause,
    });
  }
  throw new IdentityError('unreadable', `${config.passwordFile} holds no password.`);
}

/** Ports the owner named, else the first free ones; 0 is left out. */
async function offered(wanted: Ports): Promise<Ports> {
  const ws = wanted.ws ?? (await freePort(PEER_PORTS_FIRST.ws)) ?? 0;
  const tcp = wanted.tcp ?? (await freePort(PEER_PORTS_FIRST.tcp)) ?? 0;
  return { ...(ws === 0 ? {} : { ws }), ...(tcp === 0 ? {} : { tcp }) };
}

function someRouters(): readonly string[] {
  const left = [...DEFAULT_ROUTERS];
  return Array.from({ length: ROUTERS_GIVEN }, () => left.splice(randomInt(left.length), 1)[0]!);
}

async function keep(home: string, chain: ChainConfig, extras: Extras): Promise<void> {
  await keepProviders(home, chain, extras.providers);
  const { cacheSources } = extras;
  if (cacheSources === undefined) return;
  for (const reader of CACHE_READERS) {
    const folder = join(home, 'vfs', reader, 'initfiles');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'cache_sources'), JSON.stringify(cacheSources, null, 2));
  }
}

async function cacheSourcesOf(home: string): Promise<readonly string[]> {
  const path = join(home, 'vfs', CACHE_READERS[0]!, 'initfiles', 'cache_sources');
  const text = await readFile(path, 'utf8').catch(() => '[]');
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names.filter((each) => typeof each === 'string') : [];
  } catch {
    return [];
  }
}
