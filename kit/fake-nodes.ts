/**
 * Which fake nodes to boot: names, homes and ports of one command line, as values (kit.md §2.5). `fake-network.ts` starts them.
 */
import { isAbsolute, join, resolve } from 'node:path';
import { BuildError } from './build/build-error.ts';
import { isDevelopmentName } from '../runtime-modules/identity/development.ts';

/** Where homes are unless told otherwise, in the folder kit is run in. */
const HOMES = join('.hyperloom', 'fake');
const NAME_DEFAULT = 'fake.os';
const PORT_DEFAULT = 8_080;
const CHAIN_PORT_DEFAULT = 8_545;
const PORT_MAX = 65_535;
export const NODES_MAX = 64;

export interface FakeNodesArgs {
  /** One name, or several with commas between them. */
  readonly names?: string | undefined;
  readonly count?: string | undefined;
  readonly port?: string | undefined;
  readonly chainPort?: string | undefined;
  readonly home?: string | undefined;
}

export interface FakeNodePlan {
  readonly name: string;
  /** Absolute. */
  readonly home: string;
  /** Of its web server; 0: any. */
  readonly port: number;
}

export interface FakeNetworkPlan {
  readonly nodes: readonly FakeNodePlan[];
  readonly chainPort: number;
}

/** @throws BuildError `bad-flags` with a sentence that names the flag */
export function planFakeNodes(args: FakeNodesArgs, cwd: string): FakeNetworkPlan {
  const names = namesOf(args);
  const port = wholeNumber('--port', args.port, PORT_DEFAULT, 0, PORT_MAX);
  if (port !== 0 && port + names.length - 1 > PORT_MAX)
    throw new BuildError('bad-flags', `--port ${port} leaves no ports for ${names.length} nodes`);
  const chainPort = wholeNumber(
    '--fakechain-port',
    args.chainPort,
    CHAIN_PORT_DEFAULT,
    1,
    PORT_MAX,
  );
  const nodes = names.map((name, index) => ({
    name,
    home: homeOf(name, { of: names.length, given: args.home, cwd }),
    port: port === 0 ? 0 : port + index,
  }));
  return { nodes, chainPort };
}

/** What the node's own command line is (docs/operating.md). */
export function nodeArguments(
  { name, home, port }: FakeNodePlan,
  chainPort: number,
  more: readonly string[] = [],
): string[] {
  return [
    home,
    ...['--fake-node-name', name, '--port', String(port)],
    ...['--fakechain-port', String(chainPort), '--expose-local'],
    ...more,
  ];
}

function namesOf({ names = NAME_DEFAULT, count }: FakeNodesArgs): readonly string[] {
  const given = names.split(',').map((text) => {
    const name = text.trim();
    return name.includes('.') ? name : `${name}.os`;
  });
  const wrong = given.find((name) => !isDevelopmentName(name));
  if (wrong !== undefined)
    throw new BuildError(
      'bad-flags',
      `--fake-node-name: "${wrong}" cannot name a node: letters a-z, digits and dashes, such as alice.os`,
    );
  const wanted = wholeNumber('--count', count, given.length, 1, NODES_MAX);
  const [first = NAME_DEFAULT] = given;
  if (given.length > 1 && wanted !== given.length)
    throw new BuildError('bad-flags', `--count ${wanted}, but ${given.length} names are given`);
  const [label = '', ...zone] = first.split('.');
  const all =
    given.length > 1
      ? given
      : Array.from({ length: wanted }, (_, index) =>
          index === 0 ? first : [`${label}-${index + 1}`, ...zone].join('.'),
        );
  if (new Set(all).size < all.length)
    throw new BuildError('bad-flags', '--fake-node-name: a name is given twice');
  if (all.length > NODES_MAX)
    throw new BuildError('bad-flags', `at most ${NODES_MAX} nodes of one command`);
  return all;
}

function homeOf(
  name: string,
  {
    of,
    given,
    cwd,
  }: { readonly of: number; readonly given: string | undefined; readonly cwd: string },
): string {
  if (given === undefined) return resolve(cwd, HOMES, name);
  const base = isAbsolute(given) ? given : resolve(cwd, given);
  return of === 1 ? base : join(base, name);
}

function wholeNumber(
  flag: string,
  text: string | undefined,
  otherwise: number,
  from: number,
  to: number,
): number {
  if (text === undefined) return otherwise;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= from && value <= to) return value;
  throw new BuildError(
    'bad-flags',
    `${flag} must be a whole number from ${from} to ${to}, not "${text}"`,
  );
}
