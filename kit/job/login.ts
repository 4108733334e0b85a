/** Who `kit job` is: the owner of the node, logged in as at its login page, or a wallet that signs in (compute-market.md §13). */
import { readFile } from 'node:fs/promises';
import { ask } from '../../bin/secrets-input.ts';
import { passwordFrom } from '../../runtime-modules/backup/save.ts';
import { hashPassword } from '../../runtime-modules/identity/password.ts';
import { JobError } from './job-error.ts';
import { MarketApi } from './market-api.ts';
import { Wallet } from './wallet.ts';

export interface LoginFlags {
  readonly node?: string | undefined;
  readonly 'password-file'?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly wallet?: string | undefined;
}

/** What every command takes. */
export const LOGIN_ARGS = {
  node: { type: 'string', description: 'the node (default http://localhost:8080)' },
  'password-file': {
    type: 'string',
    description:
      "the owner's password, in a file (default: it is asked for; a development node needs none)",
  },
  'token-file': {
    type: 'string',
    description: 'a token of the market in a file, in place of a login',
  },
  wallet: {
    type: 'string',
    description:
      'private key of the wallet that asks and pays, in a file only you can read; dev: the first account of a development chain',
  },
  json: { type: 'boolean', description: 'one JSON object a line' },
} as const;

const NODE = 'http://localhost:8080';
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** The market, as whoever the flags say. `wallet`: who pays, if it is not the owner. */
export interface LoggedIn {
  readonly api: MarketApi;
  readonly wallet: Wallet | undefined;
}

/** @throws JobError, InputError */
export async function login(flags: LoginFlags): Promise<LoggedIn> {
  const api = new MarketApi(flags.node ?? NODE);
  const given = [flags.wallet, flags['token-file'], flags['password-file']];
  if (given.filter((flag) => flag !== undefined).length > 1) {
    throw new JobError('bad-flags', 'one of --wallet, --token-file and --password-file is enough');
  }
  if (flags.wallet !== undefined) {
    const wallet = await Wallet.open(flags.wallet);
    api.use(await walletToken(api, wallet));
    return { api, wallet };
  }
  api.use(
    flags['token-file'] === undefined
      ? await ownerToken(api, flags['password-file'])
      : await tokenIn(flags['token-file']),
  );
  return { api, wallet: undefined };
}

async function tokenIn(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new JobError('file', `${path} cannot be read`, { cause: error });
  });
  const token = text.trim();
  if (!TOKEN.test(token)) throw new JobError('login', `${path} holds no token of a market`);
  return token;
}

/** As the login page does: the node gets the password's hash, and gives a session, which gets a token. */
async function ownerToken(api: MarketApi, passwordFile: string | undefined): Promise<string> {
  const page = await (await api.fetch('/login', {})).text();
  const name = told(page, 'node');
  if (name === undefined) throw new JobError('unreachable', `${api.node} is no hyperloom node`);
  const development = told(page, 'development') === 'true';
  const password =
    passwordFile !== undefined
      ? await passwordFrom(passwordFile)
      : development
        ? 'any'
        : await askPassword(name);
  const session = await api.fetch('/login', {
    method: 'POST',
    body: { password_hash: await hashPassword(password, name) },
  });
  const cookie = session.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');
  if (cookie === '') {
    const why = (await session.text()).slice(0, 200);
    throw new JobError('login', `${name} did not take the password: ${session.status} ${why}`);
  }
  const { token } = await api.json<{ token: string }>('/operator/token', {
    method: 'POST',
    headers: { cookie },
  });
  return token;
}

async function askPassword(name: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new JobError(
      'login',
      `there is nobody to ask for the password of ${name}: --password-file FILE`,
    );
  }
  return ask(`Password of ${name}: `);
}

/** A value of the login page, whose text is safe in HTML: names have no character that is escaped. */
function told(page: string, name: string): string | undefined {
  return new RegExp(`<meta name="${name}" content="([^"]*)"`).exec(page)?.[1];
}

async function walletToken(api: MarketApi, wallet: Wallet): Promise<string> {
  const { message } = await api.json<{ message: string }>('/api/auth/login', {
    method: 'POST',
    body: { address: wallet.address },
  });
  const signature = wallet.signLogin(message, api.site);
  const { token } = await api.json<{ token: string }>('/api/auth/login', {
    method: 'POST',
    body: { message, signature },
  });
  return token;
}
