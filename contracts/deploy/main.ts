/**
 * `npm run deploy:contracts -- --rpc URL --key-file FILE --config FILE [--out FILE] [--send]`: see `docs/deploying.md`. Without
 * `--send` nothing is sent.
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { JsonRpcProvider, Wallet } from 'ethers';
import { deployment, type MarketConfig, marketConfig } from '../compute-deployment.ts';
import { DeployError, deployMarket } from './deploy.ts';

const USAGE = `deploy:contracts --rpc URL --key-file FILE --config FILE [--out FILE] [--send]

  --rpc URL        HTTP of the chain
  --key-file FILE  private key of who deploys, 0x and hex, readable by its owner only
  --config FILE    what the market is made with (docs/deploying.md)
  --out FILE       where the addresses are written, for nodes
  --send           sends; without it you are told what would be sent
`;
/** Others may neither read nor write it. */
const OTHERS = 0o077;

async function main(): Promise<number> {
  const given = flags();
  const { rpc, 'key-file': keyFile, config: configFile, out, send } = given ?? {};
  if (rpc === undefined || keyFile === undefined || configFile === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const tell = (text: string): void => void process.stdout.write(`${text}\n`);
  let provider: JsonRpcProvider | undefined;
  try {
    const config = await readConfig(configFile);
    const wallet = await readKey(keyFile);
    provider = new JsonRpcProvider(rpc, Number(config.chainId), {
      // Answers of a moment ago say nothing of what was sent since.
      cacheTimeout: -1,
    });
    const signer = wallet.connect(provider);
    const deployed = await deployMarket(config, { provider, signer, send: send === true, tell });
    for (const what of deployed.left) tell(`left: ${what}`);
    if (deployed.deployment !== undefined && out !== undefined) {
      await writeFile(
        out,
        Buffer.concat([deployment.encode(deployed.deployment), Buffer.from('\n')]),
      );
      tell(`addresses are in ${out}`);
    }
    return 0;
  } catch (error) {
    const text = expected(error);
    if (text === undefined) throw error;
    process.stderr.write(`${text}\n`);
    return 1;
  } finally {
    provider?.destroy();
  }
}

/** A file that cannot be used; the text says why. */
class BadInput extends Error {
  override readonly name = 'BadInput';
}

/** What an operator can do something about; undefined: a bug. */
function expected(error: unknown): string | undefined {
  if (error instanceof DeployError || error instanceof BadInput) return error.message;
  const known =
    error instanceof Error &&
    'code' in error &&
    /^(E[A-Z]+|NETWORK_ERROR)$/.test(String(error.code));
  return known ? error.message : undefined;
}

/** Undefined: there is one that is not known. */
function flags() {
  const text = { type: 'string' } as const;
  const options = {
    rpc: text,
    'key-file': text,
    config: text,
    out: text,
    send: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ options, strict: true }).values;
  } catch {
    return undefined;
  }
}

async function readConfig(path: string): Promise<MarketConfig> {
  const decoded = marketConfig.decode(await readFile(path));
  if (!decoded.ok)
    throw new BadInput(`${path}: ${decoded.error.path}: expected ${decoded.error.expected}`);
  return decoded.value;
}

async function readKey(path: string): Promise<Wallet> {
  if (((await stat(path)).mode & OTHERS) !== 0)
    throw new BadInput(`${path} can be read by others; chmod 600 it`);
  const key = (await readFile(path, 'utf8')).trim();
  if (!/^0x[0-9a-fA-F]{64}$/.test(key)) throw new BadInput(`${path} holds no private key`);
  return new Wallet(key);
}

// At the end: classes are there from their line on.
process.exitCode = await main();
