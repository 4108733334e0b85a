/** `hyperloom register`: a name on chain and the keyfile of its node, without a browser (findings.md F31). */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chainIdOf, type ChainConfig } from './chain-reads.ts';
import { HYPERMAP } from '../contracts/addresses.ts';
import { openReads, openRegistration } from './identity.ts';
import { systemClock } from '../kernel/clock.ts';
import { BackupError } from '../runtime-modules/backup/backup-error.ts';
import { IdentityError } from '../runtime-modules/identity/development.ts';
import { HomeError, openHome } from '../runtime-modules/identity/home.ts';
import { hashPassword } from '../runtime-modules/identity/password.ts';
import { bootDigest } from '../runtime-modules/identity/registration/boot-message.ts';
import { invalidText, splitName } from '../runtime-modules/identity/registration/name-state.ts';
import { nextStep, type Plan } from '../runtime-modules/identity/registration/plan.ts';
import type { Registration } from '../runtime-modules/identity/registration/registration.ts';
import type { Ports, Routing } from '../runtime-modules/identity/routing.ts';
import { InputError, password, privateKey } from './secrets-input.ts';
import { CommandWallet } from './wallet.ts';

/** As of the node itself (docs/operating.md). */
const EXIT = { usage: 2, homeInUse: 3, failed: 5 } as const;

const USAGE = `hyperloom register <home> --name NAME [options]

  --name NAME           such as alice-smith.os
  --key-file FILE       private key of the wallet that pays and owns the name, in a file only
                        you can read; without it the key is read from standard input
  --password-file FILE  its first line becomes the node's password; without it you are asked
  --reset               the name is yours already: give it new keys
  --direct --ip ADDRESS --ws-port PORT --tcp-port PORT
                        others reach the node there; without it, through routers
  --routers A,B,C       those; default three of default-router-1.hypr to -12
  --rpc URL             a provider of the chain to trust
  --rpc-config FILE     several
  --fakechain-port PORT the development chain at that port, instead of Base`;

/** Waiting for our provider to see what was sent. */
const SEEN_MS_MAX = 60_000;
const SEEN_POLL_MS = 1_000;

interface Options {
  readonly home: string;
  readonly name: string;
  readonly reset: boolean;
  readonly keyFile: string | undefined;
  readonly passwordFile: string | undefined;
  readonly direct: { readonly ip: string | undefined; readonly ports: Ports } | undefined;
  readonly routers: readonly string[] | undefined;
  readonly chain: ChainConfig;
}

/** `args` are those after its name. Sets the exit code. */
export async function runRegister(args: readonly string[]): Promise<void> {
  const options = parse(args);
  if (typeof options === 'string') {
    if (options === '') return say(USAGE);
    return fail(EXIT.usage, `${options}\n\n${USAGE}`);
  }
  try {
    await register(options);
  } catch (error) {
    if (!isExpected(error)) throw error;
    const inUse = error instanceof HomeError && error.code === 'in-use';
    fail(inUse ? EXIT.homeInUse : EXIT.failed, error.message);
  }
}

async function register(options: Options): Promise<void> {
  const { name, chain, reset } = options;
  await using home = await openHome(options.home);
  const needs = { home: home.path, clock: systemClock, tell: say };
  using reads = await openReads(chain, needs);
  const ports = options.direct?.ports ?? {};
  using registration = await openRegistration({ chain, ports }, { ...needs, reads });
  const keyfile = await registration.keyfile();
  if (keyfile.ok && keyfile.value !== undefined && !reset)
    throw new InputError(
      `${home.path} is the home of ${keyfile.value.username} already; choose another, or give it new keys with --reset`,
    );
  const wallet = new CommandWallet(await privateKey(options.keyFile), chainIdOf(chain), reads);
  const secret = await password(options.passwordFile, { prompt: 'new password', isNew: true });
  const routing = await routingOf(options, registration);
  await walkTo({ name, wallet: wallet.address, routing }, { registration, wallet, reset });
  const username = name;
  const passwordHash = await hashPassword(secret, name);
  const message = {
    username,
    passwordHash,
    timestampMs: Date.now(),
    direct: routing.kind === 'direct',
    reset,
  };
  const chainId = chainIdOf(chain);
  const digest = bootDigest({ chainId, hypermap: HYPERMAP }, message);
  const info = {
    password_hash: passwordHash,
    username,
    reset,
    direct: message.direct,
    owner: wallet.address,
    signature: wallet.sign(digest),
    timestamp: message.timestampMs,
    chain_id: chainId,
    ...(routing.kind === 'routers' ? { custom_routers: routing.routers } : {}),
  };
  const booted = await registration.boot(new TextEncoder().encode(JSON.stringify(info)));
  if (!booted.ok) throw new InputError(booted.error.text);
  booted.value.secrets[Symbol.dispose]();
  say(`${name} is registered, and its keys are in ${home.path}. Start it: hyperloom ${home.path}`);
}

/** Sends what has to be sent until the name has the keys of this registration. */
async function walkTo(
  plan: Plan,
  {
    registration,
    wallet,
    reset,
  }: { registration: Registration; wallet: CommandWallet; reset: boolean },
): Promise<void> {
  const first = await registration.nameState(plan.name, plan.wallet);
  if (first.ok && first.value.kind === 'owned' && !reset)
    throw new InputError(`${plan.name} is yours already; give it new keys with --reset`);
  for (;;) {
    const step = await nextStep(registration, plan);
    if (!step.ok) throw new InputError(step.error.text);
    if (step.value.kind === 'wait') {
      say(`waiting ${step.value.readyInS} s, until the reservation is old enough`);
      await pause(step.value.readyInS * 1_000);
      continue;
    }
    const { kind, transaction } = step.value;
    say(STEP_TEXT[kind]);
    await wallet.send(transaction);
    await seen(plan, registration, kind);
    if (kind !== 'commit') return;
  }
}

const STEP_TEXT = {
  commit: 'reserving the name',
  mint: 'registering the name, with the keys of this node',
  reset: 'writing the new keys',
} as const;

async function seen(plan: Plan, registration: Registration, kind: string): Promise<void> {
  const endMs = performance.now() + SEEN_MS_MAX;
  while (performance.now() < endMs) {
    const state = await registration.nameState(plan.name, plan.wallet);
    if (state.ok) {
      const { value } = state;
      if (kind === 'commit' && value.kind === 'commit' && value.commit.kind !== 'none') return;
      // Whether it is this node's key is checked at the boot.
      if (kind !== 'commit' && value.kind === 'owned') return;
    }
    await pause(SEEN_POLL_MS);
  }
  throw new InputError('the transaction went through, but no provider shows it; try again');
}

async function routingOf(
  { direct, routers }: Options,
  registration: Registration,
): Promise<Routing> {
  if (direct === undefined) return { kind: 'routers', routers: routers ?? registration.routers };
  const { ip, ports } = await registration.networkingInfo();
  return { kind: 'direct', ip: direct.ip ?? ip, ports };
}

/** Text: what is wrong; empty: help is wanted. */
function parse(args: readonly string[]): Options | string {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        'key-file': { type: 'string' },
        'password-file': { type: 'string' },
        reset: { type: 'boolean' },
        direct: { type: 'boolean' },
        ip: { type: 'string' },
        'ws-port': { type: 'string' },
        'tcp-port': { type: 'string' },
        routers: { type: 'string' },
        rpc: { type: 'string' },
        'rpc-config': { type: 'string' },
        'fakechain-port': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return (error as Error).message;
  }
  const { values, positionals } = parsed;
  if (values.help === true) return '';
  const [home, ...extra] = positionals;
  const { name = '' } = values;
  if (home === undefined || extra.length > 0) return 'say which home folder, and one only';
  if (splitName(name) === undefined) return `--name: ${invalidText(name)}`;
  const [ws, tcp, fakechainPort] = [
    portOf(values['ws-port']),
    portOf(values['tcp-port']),
    portOf(values['fakechain-port']),
  ];
  if (ws === 'bad' || tcp === 'bad' || fakechainPort === 'bad')
    return 'a port is a whole number from 0 to 65535';
  const ports = { ...(ws === undefined ? {} : { ws }), ...(tcp === undefined ? {} : { tcp }) };
  const routers = values.routers?.split(',').map((each) => each.trim());
  if (routers !== undefined && values.direct === true)
    return '--direct and --routers exclude each other';
  return {
    home: resolve(home),
    name,
    reset: values.reset ?? false,
    keyFile: values['key-file'],
    passwordFile: values['password-file'],
    direct: values.direct === true ? { ip: values.ip, ports } : undefined,
    routers,
    chain: { rpc: values.rpc, rpcConfig: values['rpc-config'], fakechainPort },
  };
}

function portOf(text: string | undefined): number | undefined | 'bad' {
  if (text === undefined) return undefined;
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : 'bad';
}

function isExpected(error: unknown): error is Error {
  return (
    error instanceof InputError ||
    error instanceof IdentityError ||
    error instanceof HomeError ||
    error instanceof BackupError ||
    (error instanceof Error && 'syscall' in error)
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(code: number, message: string): void {
  process.stderr.write(`hyperloom: ${message}\n`);
  process.exitCode = code;
}
