/** `kit boot-fake-node`: kit.md §2.5, for one node or several on one development chain. */
import { rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { defineCommand } from 'citty';
import { wipeHome } from '../../runtime-modules/identity/home.ts';
import { BuildError } from '../build/build-error.ts';
import { FakeNetwork, type FakeNode } from '../fake-network.ts';
import { type FakeNetworkPlan, type FakeNodePlan, planFakeNodes } from '../fake-nodes.ts';
import { unknownFlag } from '../known-flags.ts';
import { fail } from '../report.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A second signal this soon is the same keypress, seen twice. */
const SAME_SIGNAL_MS = 500;

const ARGS = {
  'fake-node-name': {
    type: 'string',
    alias: 'f',
    description:
      'its name, or several with commas (default fake.os; .os is added if there is no dot)',
  },
  count: {
    type: 'string',
    alias: 'n',
    description: 'how many: fake.os, fake-2.os, ... (default 1)',
  },
  port: {
    type: 'string',
    alias: 'p',
    description: 'of the web server, the next ones of further nodes (default 8080; 0: any)',
  },
  home: {
    type: 'string',
    alias: 'o',
    description: 'home of one, folder of the homes of several (default .hyperloom/fake/NAME)',
  },
  'fakechain-port': {
    type: 'string',
    alias: 'c',
    description: 'the chain there is used, else started (default 8545)',
  },
  rpc: { type: 'string', description: 'a further provider of chains, wss://...' },
  persist: {
    type: 'boolean',
    description: 'keep the homes; they are deleted at the end otherwise',
  },
  verbosity: { type: 'string', description: 'which prints are shown, 0 to 4 (default 0)' },
} as const;

export const bootFakeNode = defineCommand({
  meta: {
    name: 'boot-fake-node',
    alias: 'f',
    description: 'Boot development nodes on one development chain. Arguments after -- go to each.',
  },
  args: ARGS,
  async run({ args, rawArgs }) {
    try {
      const wrong = unknownFlag(args, ARGS);
      if (wrong !== undefined)
        throw new BuildError(
          'bad-flags',
          `there is no flag --${wrong}; see kit boot-fake-node --help`,
        );
      const plan = planFakeNodes(
        {
          names: args['fake-node-name'],
          count: args.count,
          port: args.port,
          chainPort: args['fakechain-port'],
          home: args.home,
        },
        process.cwd(),
      );
      const rest = rawArgs.indexOf('--');
      const more = [
        ...(args.rpc === undefined ? [] : ['--rpc', args.rpc]),
        ...(args.verbosity === undefined ? [] : ['--verbosity', args.verbosity]),
        ...(rest < 0 ? [] : rawArgs.slice(rest + 1)),
      ];
      process.exitCode = await boot(plan, { more, persist: args.persist === true });
    } catch (error) {
      fail(false, error);
    }
  },
});

interface Made {
  readonly homes: readonly string[];
  readonly folders: readonly string[];
}

interface BootOptions {
  readonly more: readonly string[];
  readonly persist: boolean;
}

/** Until all nodes have ended. @returns the exit code */
async function boot(plan: FakeNetworkPlan, { more, persist }: BootOptions): Promise<number> {
  const fresh = await absent(plan.nodes);
  const attached = plan.nodes.length === 1;
  const width = Math.max(...plan.nodes.map(({ name }) => name.length));
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const network = new FakeNetwork({
    plan,
    more,
    attached,
    show: (name, line) => say(`${name.padEnd(width)} | ${line}`),
    tell: (text) => say(`kit: ${text}`),
  });
  using _ = endOnSignals(network);
  try {
    if (attached) for (const { name, home } of plan.nodes) say(`kit: ${name} at ${home}`);
    const up = await network.start();
    using typed = attached ? undefined : passOn(network, plan, say);
    for (const line of table(up, width)) say(line);
    if (typed !== undefined)
      say(
        "kit: a line that begins with a node's name goes to its console, others to the last one named. Ctrl-C ends all.",
      );
    const codes = await network.ended();
    await network.end();
    return codes.find((code) => code !== 0) === undefined ? 0 : 1;
  } finally {
    await network.end();
    if (!persist) await remove(fresh);
  }
}

function table(up: readonly FakeNode[], width: number): readonly string[] {
  return up.map(
    ({ name, url, reached, home }) => `${name.padEnd(width)}   ${url}   ${reached}   ${home}`,
  );
}

/** Ctrl-C and the like end the nodes in order; a second one at once. */
function endOnSignals(network: FakeNetwork): Disposable {
  let firstAt: number | undefined;
  const off = SIGNALS.map((signal) => {
    const onSignal = (): void => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        void network.end();
      } else if (now - firstAt > SAME_SIGNAL_MS) {
        network.kill();
      }
    };
    process.on(signal, onSignal);
    return () => process.off(signal, onSignal);
  });
  return {
    [Symbol.dispose]() {
      for (const each of off) each();
    },
  };
}

/** What is typed here, to the node it is for. At a terminal, Ctrl-D ends all of them as it would end one. */
function passOn(
  network: FakeNetwork,
  { nodes }: FakeNetworkPlan,
  say: (text: string) => void,
): Disposable {
  let to = nodes[0]?.name ?? '';
  const lines = createInterface({ input: process.stdin, terminal: false });
  lines.on('line', (line) => {
    const [, word = '', rest = ''] = /^\s*(\S*)\s*(.*)$/.exec(line) ?? [];
    const named = nodes.find(({ name }) => name === word);
    if (named !== undefined) to = named.name;
    const text = named === undefined ? line.trim() : rest;
    if (text === '') say(`kit: lines go to ${to}`);
    else if (!network.enter(to, text)) say(`kit: ${to} is not there`);
  });
  if (process.stdin.isTTY) lines.on('close', () => void network.end());
  return { [Symbol.dispose]: () => lines.close() };
}

/** Homes, and the folders they are in, that are not there yet: those are deleted at the end. */
async function absent(nodes: readonly FakeNodePlan[]): Promise<Made> {
  const isAbsent = (path: string): Promise<boolean> =>
    stat(path).then(
      () => false,
      () => true,
    );
  const of = async (paths: readonly string[]): Promise<readonly string[]> => {
    const made = await Promise.all(paths.map(isAbsent));
    return paths.filter((_, index) => made[index]);
  };
  const homes = nodes.map(({ home }) => home);
  return {
    homes: await of(homes),
    folders: await of([...new Set(homes.map((home) => dirname(home)))]),
  };
}

async function remove({ homes, folders }: Made): Promise<void> {
  for (const home of homes) await wipeHome(home);
  for (const folder of folders) await rmdir(folder).catch(() => undefined);
}
