/**
 * What a node that is being set up answers (networking.md §14), and what its pages ask beyond that (below `/setup/`). JSON in and out;
 * errors are JSON strings.
 */
import { bool, option, record, text, u16 } from '../../../wit/codec.ts';
import type { Result } from '../../../wit/types.ts';
import { encodeKeyfile } from '../../identity/keyfile-format.ts';
import type { OpenedNode } from '../../identity/registered.ts';
import type { NameState } from '../../identity/registration/name-state.ts';
import { readErrorText } from '../../identity/registration/namespace.ts';
import { nextStep } from '../../identity/registration/plan.ts';
import type { Refusal, Registration } from '../../identity/registration/registration.ts';
import type { Routing } from '../../identity/routing.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: readonly string[];
}

/** How a wallet is told of the chain, when it does not know it. */
export interface ChainDescription {
  readonly name: string;
  /** Public, without keys. */
  readonly rpcUrls: readonly string[];
}

export interface ApiNeeds {
  readonly registration: Registration;
  readonly chain: ChainDescription;
  /** JSON texts of the providers that the node would use, keys left out. */
  readonly providers: () => Promise<readonly string[]>;
  readonly cacheSources: readonly string[];
  /** The value of Set-Cookie of a first session. */
  readonly session: (opened: OpenedNode, secure: boolean) => string;
}

const planRequest = record({
  name: text,
  wallet: text,
  direct: bool,
  ip: option(text),
  ws_port: option(u16),
  tcp_port: option(u16),
});

export class SetupApi {
  readonly #needs: ApiNeeds;

  constructor(needs: ApiNeeds) {
    this.#needs = needs;
  }

  /** `GET /info`: 404 before there is a keyfile, and a body all the same (N48). */
  async info(): Promise<ApiAnswer> {
    const { registration, providers, cacheSources } = this.#needs;
    const keyfile = await registration.keyfile();
    if (!keyfile.ok) return refused(keyfile.error);
    return {
      status: keyfile.value === undefined ? 404 : 200,
      body: {
        name: keyfile.value?.username ?? null,
        allowed_routers: keyfile.value?.routers ?? null,
        initial_cache_sources: cacheSources,
        initial_base_l2_providers: await providers(),
      },
    };
  }

  /** `GET /current-chain`. */
  currentChain(): ApiAnswer {
    return ok(`0x${this.#needs.registration.namespace.place.chainId.toString(16)}`);
  }

  /** `GET /our`, as text. */
  async our(): Promise<string> {
    const keyfile = await this.#needs.registration.keyfile();
    return keyfile.ok ? (keyfile.value?.username ?? '') : '';
  }

  /** `POST /generate-networking-info` (N45). */
  async networkingInfo(): Promise<ApiAnswer> {
    const { publicKeyHex, ip, ports, routers } = await this.#needs.registration.networkingInfo();
    const { tcp, ws } = ports;
    const both = {
      ip,
      ports: { ...(tcp ? { tcp } : {}), ...(ws ? { ws } : {}) },
      routers,
    };
    return ok({ name: '', networking_key: `0x${publicKeyHex}`, routing: { Both: both } });
  }

  boot(body: Uint8Array, secure: boolean): Promise<ApiAnswer> {
    return this.#entered(this.#needs.registration.boot(body), secure);
  }

  importKeyfile(body: Uint8Array, secure: boolean): Promise<ApiAnswer> {
    return this.#entered(this.#needs.registration.importKeyfile(body), secure);
  }

  login(body: Uint8Array, secure: boolean): Promise<ApiAnswer> {
    return this.#entered(this.#needs.registration.login(body), secure);
  }

  /** `POST /vet-keyfile`: whose keyfile it is. Older nodes have it. */
  async vet(body: Uint8Array): Promise<ApiAnswer> {
    const vetted = await this.#needs.registration.vet(body);
    if (!vetted.ok) return refused(vetted.error);
    const { keyfile, publicKeyHex } = vetted.value;
    return ok({
      username: keyfile.username,
      networking_key: `0x${publicKeyHex}`,
      routers: keyfile.routers,
    });
  }

  /** `GET /setup/state`: what the pages start from. */
  async state(): Promise<ApiAnswer> {
    const { registration, chain } = this.#needs;
    const { chainId, hypermap } = registration.namespace.place;
    const keyfile = await registration.keyfile();
    const { ip, ports } = await registration.networkingInfo();
    return ok({
      name: keyfile.ok ? (keyfile.value?.username ?? null) : null,
      damaged: !keyfile.ok,
      chain: { id: chainId, hypermap, name: chain.name, rpc_urls: chain.rpcUrls },
      ip,
      ports: { ws: ports.ws ?? 0, tcp: ports.tcp ?? 0 },
    });
  }

  /** `GET /setup/name?name=&wallet=`. */
  async name(query: URLSearchParams): Promise<ApiAnswer> {
    const name = query.get('name') ?? '';
    const wallet = query.get('wallet') ?? undefined;
    if (wallet !== undefined && !isAddress(wallet)) return sentence(400, 'That is no address.');
    const { registration } = this.#needs;
    const state = await registration.nameState(name, wallet);
    if (!state.ok) return sentence(503, readErrorText(state.error));
    const shown = shownState(state.value);
    if (state.value.kind !== 'owned') return ok(shown);
    // The keys of this very node are there already, if the page was closed after the transaction.
    const node = await registration.namespace.node(name);
    if (!node.ok) return sentence(503, readErrorText(node.error));
    const { publicKeyHex } = await registration.networkingInfo();
    return ok({ ...shown, has_our_key: node.value?.netKey === publicKeyHex });
  }

  /** `POST /setup/transaction`: the next transaction that the wallet has to send; null: none. */
  async transaction(body: Uint8Array): Promise<ApiAnswer> {
    const plan = planRequest.decode(body);
    if (!plan.ok || !isAddress(plan.value.wallet))
      return sentence(400, 'Failed to parse the request.');
    const { name, wallet, direct, ip, ws_port: ws = 0, tcp_port: tcp = 0 } = plan.value;
    const { registration } = this.#needs;
    const routing: Routing = direct
      ? { kind: 'direct', ip, ports: { ws, tcp } }
      : { kind: 'routers', routers: registration.routers };
    const step = await nextStep(registration, { name, wallet, routing });
    if (!step.ok) return refused(step.error);
    const { kind } = step.value;
    return ok({ step: kind, transaction: kind === 'wait' ? null : step.value.transaction });
  }

  async #entered(
    entering: Promise<Result<OpenedNode, Refusal>>,
    secure: boolean,
  ): Promise<ApiAnswer> {
    const entered = await entering;
    if (!entered.ok) return refused(entered.error);
    const base64 = Buffer.from(encodeKeyfile(entered.value.keyfile)).toString('base64');
    // 302 without a Location: what the reference's pages look for (§14).
    return {
      status: 302,
      body: base64,
      headers: ['Set-Cookie', this.#needs.session(entered.value, secure)],
    };
  }
}

export function sentence(status: number, body: string): ApiAnswer {
  return { status, body };
}

function ok(body: unknown): ApiAnswer {
  return { status: 200, body };
}

function refused({ status, text: body }: Refusal): ApiAnswer {
  return { status, body };
}

function isAddress(wallet: string): boolean {
  return /^0x[0-9a-f]{40}$/i.test(wallet);
}

function shownState(state: NameState): Readonly<Record<string, unknown>> {
  if (state.kind !== 'commit') return { ...state };
  const { commit } = state;
  return {
    kind: 'commit',
    commit: commit.kind,
    ...(commit.kind === 'waiting' ? { ready_in_s: commit.readyInS } : {}),
  };
}
