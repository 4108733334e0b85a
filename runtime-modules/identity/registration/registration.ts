/**
 * A home that is getting its identity (networking.md §14): by registering a name, by importing a keyfile, or by the password of the
 * keyfile that is there. It knows no HTTP; `http-server/setup` asks it and sends what it says, the command line asks it directly.
 *
 *   open --boot, importKeyfile, login--> done   (once; whatever comes later is refused)
 */
import { createPublicKey, randomBytes } from 'node:crypto';
import { type RpcAuth, rpcAuth } from '../../../wit/eth-api.ts';
import { option, record, text } from '../../../wit/codec.ts';
import type { Result } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import { Semaphore } from '../../shared/semaphore.ts';
import {
  FILE_KEY_BYTES,
  type Keyfile,
  KeyfileSecrets,
  sealKeyfile,
  SEED_BYTES,
  SESSION_SECRET_BYTES,
} from '../keyfile.ts';
import { decodeKeyfile } from '../keyfile-format.ts';
import { asideName, readKeys, writeKeys } from '../keys-file.ts';
import { openStrong, type StrongKeyfile } from '../open-node.ts';
import type { OpenedNode } from '../registered.ts';
import type { Ports, Routing } from '../routing.ts';
import { bootInfo, importInfo, keyfileBytes, loginInfo } from './bodies.ts';
import { BootCheck } from './boot-check.ts';
import { CUSTOM_ENTRIES_MAX, SETUP_BODY_BYTES_MAX } from './limits.ts';
import { type NameState, nameState, splitName } from './name-state.ts';
import type { Namespace, ReadError } from './namespace.ts';
import { routingErrorText, routingOf } from './routes.ts';

/** Why something was not done: a status as the reference has it, and a sentence. */
export interface Refusal {
  readonly status: number;
  readonly text: string;
}

/** What a boot, an import or a login asks to be kept for the node's own packages. */
export interface Extras {
  readonly cacheSources: readonly string[] | undefined;
  readonly providers: readonly { readonly url: string; readonly auth: RpcAuth | undefined }[];
}

export interface RegistrationNeeds {
  readonly home: string;
  readonly namespace: Namespace;
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  /** The address that others reach this machine at, as far as it can be told; ends by itself. */
  readonly publicIp: () => Promise<string>;
  /** Where the node will listen for peers. */
  readonly ports: Ports;
  /** Ports that the owner asked for: the chain must not say others. */
  readonly wantedPorts?: Ports;
  /** Three, for an indirect node that names none. */
  readonly routers: readonly string[];
  /** Resolves when they are on disk. */
  readonly keep: (extras: Extras) => Promise<void>;
  /** A line for the owner. */
  readonly tell: (line: string) => void;
}

export interface NetworkingInfo {
  readonly publicKeyHex: string;
  readonly ip: string;
  readonly ports: Ports;
  readonly routers: readonly string[];
}

const provider = record({ url: text, auth: option(rpcAuth) });

export class Registration implements Disposable {
  readonly #needs: RegistrationNeeds;
  readonly #turns = new Semaphore(1);
  readonly #done = Promise.withResolvers<OpenedNode>();
  readonly #check: BootCheck;
  readonly #fresh: KeyfileSecrets;
  readonly #publicKeyHex: string;
  #ip: Promise<string> | undefined;
  #isDone = false;

  constructor(needs: RegistrationNeeds) {
    this.#needs = needs;
    const parts = {
      seed: randomBytes(SEED_BYTES),
      sessionSecret: randomBytes(SESSION_SECRET_BYTES),
      fileKey: randomBytes(FILE_KEY_BYTES),
    };
    this.#fresh = new KeyfileSecrets(parts);
    for (const bytes of Object.values(parts)) bytes.fill(0);
    const key = createPublicKey(this.#fresh.networkingKey()).export({ format: 'raw-public' });
    this.#publicKeyHex = key.toString('hex');
    this.#check = new BootCheck(needs);
  }

  /** The identity, once there is one. Whoever takes it disposes of its secrets. */
  get done(): Promise<OpenedNode> {
    return this.#done.promise;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get namespace(): Namespace {
    return this.#needs.namespace;
  }

  /** Routers of an indirect node that names none. */
  get routers(): readonly string[] {
    return this.#needs.routers;
  }

  /** The keyfile of the home; undefined: none. The refusal is of one that cannot be read. */
  async keyfile(): Promise<Result<Keyfile | undefined, Refusal>> {
    const read = await readKeys(this.#needs.home);
    return read.ok ? read : refuse(401, read.error);
  }

  /** Key, address and ports that a name registered now would have; the same each time (N45). */
  async networkingInfo(): Promise<NetworkingInfo> {
    const ip = await (this.#ip ??= this.#needs.publicIp());
    const { ports, routers } = this.#needs;
    return { publicKeyHex: this.#publicKeyHex, ip, ports, routers };
  }

  /** What a wallet can do about a name. */
  nameState(name: string, wallet: string | undefined): Promise<Result<NameState, ReadError>> {
    return nameState(this.#needs.namespace, name, { wallet, nowS: this.#needs.wallMs() / 1_000 });
  }

  /** `POST /boot`: a name that was just registered, or whose keys were just reset (F31). */
  boot(body: Uint8Array): Promise<Result<OpenedNode, Refusal>> {
    return this.#once(async () => {
      const info = decode(bootInfo, body);
      if (!info.ok) return info;
      const { password_hash: passwordHash, username, direct, custom_routers } = info.value;
      const extras = extrasOf(info.value);
      if (!extras.ok) return extras;
      const routers = direct ? [] : (custom_routers ?? this.#needs.routers);
      if (!direct && (routers.length === 0 || !areNames(routers)))
        return refuse(400, 'The routers are not names of nodes.');
      const refused = await this.#check.run(info.value, this.#publicKeyHex);
      if (refused !== undefined) return { ok: false, error: refused };
      const routing = await this.#routing({ username, routers }, this.#publicKeyHex, 401);
      if (!routing.ok) return routing;
      const keyfile = await sealKeyfile({ username, routers }, this.#fresh, passwordHash);
      return this.#finish(
        { keyfile, secrets: this.#fresh, routing: routing.value },
        { extras: extras.value, written: 'replaced' },
      );
    });
  }

  /** `POST /import-keyfile`. */
  importKeyfile(body: Uint8Array): Promise<Result<OpenedNode, Refusal>> {
    return this.#once(async () => {
      const info = decode(importInfo, body);
      if (!info.ok) return info;
      const extras = extrasOf(info.value);
      if (!extras.ok) return extras;
      const keyfile = keyfileOf(info.value.keyfile);
      if (!keyfile.ok) return keyfile;
      const opened = await open(keyfile.value, info.value.password_hash);
      if (!opened.ok) return opened;
      return this.#enter(opened.value, { extras: extras.value, written: 'replaced' });
    });
  }

  /** `POST /login`: the keyfile of the home. */
  login(body: Uint8Array): Promise<Result<OpenedNode, Refusal>> {
    const info = decode(loginInfo, body);
    if (!info.ok) return Promise.resolve(info);
    const extras = extrasOf(info.value);
    if (!extras.ok) return Promise.resolve(extras);
    return this.unlock(info.value.password_hash, extras.value);
  }

  /** The same, for whoever has the hash at hand. */
  unlock(passwordHash: string, extras: Extras = NO_EXTRAS): Promise<Result<OpenedNode, Refusal>> {
    return this.#once(async () => {
      const keyfile = await this.keyfile();
      if (!keyfile.ok) return keyfile;
      if (keyfile.value === undefined) return refuse(404, 'This node has no keyfile.');
      const opened = await open(keyfile.value, passwordHash);
      if (!opened.ok) return opened;
      const written = opened.value.renewed ? 'renewed' : 'as-it-was';
      return this.#enter(opened.value, { extras, written });
    });
  }

  /** `POST /vet-keyfile`: whose keyfile it is, before anything is replaced by it. */
  async vet(
    body: Uint8Array,
  ): Promise<Result<{ keyfile: Keyfile; publicKeyHex: string }, Refusal>> {
    const info = decode(importInfo, body);
    if (!info.ok) return info;
    const keyfile = keyfileOf(info.value.keyfile);
    if (!keyfile.ok) return keyfile;
    const opened = await open(keyfile.value, info.value.password_hash);
    if (!opened.ok) return opened;
    using secrets = opened.value.secrets;
    return { ok: true, value: { keyfile: keyfile.value, publicKeyHex: publicKeyOf(secrets) } };
  }

  /** Overwrites the keys of a registration that did not come about. */
  [Symbol.dispose](): void {
    if (!this.#isDone) this.#fresh[Symbol.dispose]();
    this.#isDone = true;
  }

  /** One at a time, and none after the first that succeeds. */
  #once(action: () => Promise<Result<OpenedNode, Refusal>>): Promise<Result<OpenedNode, Refusal>> {
    return this.#turns.run(() =>
      this.#isDone ? Promise.resolve(refuse(409, 'This node has its identity already.')) : action(),
    );
  }

  async #enter(
    { keyfile, secrets }: StrongKeyfile,
    how: { extras: Extras; written: Written },
  ): Promise<Result<OpenedNode, Refusal>> {
    const routing = await this.#routing(keyfile, publicKeyOf(secrets), 500);
    if (routing.ok) return this.#finish({ keyfile, secrets, routing: routing.value }, how);
    // A home that has been here before starts without a chain too: its owner may be in a house without internet.
    if (routing.error.status === UNREACHABLE && how.written !== 'replaced') {
      this.#needs.tell(`${routing.error.text} Starting with what the keyfile says.`);
      return this.#finish({ keyfile, secrets, routing: this.#guessed(keyfile.routers) }, how);
    }
    secrets[Symbol.dispose]();
    return routing;
  }

  #guessed(routers: readonly string[]): Routing {
    if (routers.length > 0) return { kind: 'routers', routers };
    return { kind: 'direct', ip: undefined, ports: this.#needs.wantedPorts ?? {} };
  }

  async #routing(
    { username, routers }: Pick<Keyfile, 'username' | 'routers'>,
    publicKeyHex: string,
    status: number,
  ): Promise<Result<Routing, Refusal>> {
    const { namespace, wantedPorts: ports = {} } = this.#needs;
    const routing = await routingOf(namespace, { name: username, publicKeyHex, routers, ports });
    if (routing.ok) return routing;
    const { error } = routing;
    const text = routingErrorText(error);
    if (error.kind === 'mismatch') return refuse(status, text);
    return refuse(error.error.kind === 'unreachable' ? UNREACHABLE : 502, text);
  }

  async #finish(
    opened: OpenedNode,
    { extras, written }: { extras: Extras; written: Written },
  ): Promise<Result<OpenedNode, Refusal>> {
    const { home, keep, wallMs } = this.#needs;
    await keep(extras);
    if (written === 'replaced')
      await writeKeys(home, opened.keyfile, asideName(new Date(wallMs())));
    else if (written === 'renewed') await writeKeys(home, opened.keyfile);
    if (opened.secrets !== this.#fresh) this.#fresh[Symbol.dispose]();
    this.#isDone = true;
    this.#done.resolve(opened);
    return { ok: true, value: opened };
  }
}

/** The status that says that the chain could not be asked. */
const UNREACHABLE = 503;

/** What becomes of `.keys`. */
type Written = 'replaced' | 'renewed' | 'as-it-was';

const NO_EXTRAS: Extras = { cacheSources: undefined, providers: [] };

function refuse(status: number, text: string): { ok: false; error: Refusal } {
  return { ok: false, error: { status, text } };
}

function decode<T>(
  codec: { decode(body: Uint8Array): Result<T, unknown> },
  body: Uint8Array,
): Result<T, Refusal> {
  if (body.length > SETUP_BODY_BYTES_MAX) return refuse(413, 'The request is too large.');
  const decoded = codec.decode(body);
  return decoded.ok ? decoded : refuse(400, 'Failed to parse the request.');
}

function keyfileOf(base64: string): Result<Keyfile, Refusal> {
  const bytes = keyfileBytes(base64);
  if (bytes === undefined) return refuse(400, 'The keyfile is not base64.');
  const keyfile = decodeKeyfile(bytes);
  return keyfile.ok ? keyfile : refuse(400, `The keyfile ${keyfile.error}.`);
}

async function open(
  keyfile: Keyfile,
  passwordHash: string,
): Promise<Result<StrongKeyfile, Refusal>> {
  const opened = await openStrong(keyfile, passwordHash);
  if (opened.ok) return opened;
  return opened.error === 'wrong-password'
    ? refuse(401, 'Incorrect password.')
    : refuse(400, 'The keyfile is damaged: not all of it decrypts.');
}

function publicKeyOf(secrets: KeyfileSecrets): string {
  return createPublicKey(secrets.networkingKey()).export({ format: 'raw-public' }).toString('hex');
}

function areNames(names: readonly string[]): boolean {
  return names.length <= CUSTOM_ENTRIES_MAX && names.every((name) => splitName(name) !== undefined);
}

function extrasOf(info: {
  readonly custom_cache_sources: readonly string[] | undefined;
  readonly custom_base_l2_access_providers: readonly string[] | undefined;
}): Result<Extras, Refusal> {
  const { custom_cache_sources: cacheSources, custom_base_l2_access_providers: texts = [] } = info;
  if (cacheSources !== undefined && !areNames(cacheSources))
    return refuse(400, 'The cache sources are not names of nodes.');
  if (texts.length > CUSTOM_ENTRIES_MAX) return refuse(400, 'There are too many providers.');
  const providers: Extras['providers'][number][] = [];
  for (const each of texts) {
    const decoded = provider.decode(each);
    if (!decoded.ok || !/^wss?:\/\//i.test(decoded.value.url))
      return refuse(400, 'A provider is not {"url":"wss://...","auth":...}.');
    providers.push(decoded.value);
  }
  return { ok: true, value: { cacheSources, providers } };
}
