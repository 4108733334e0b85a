/** What `help` says, and every script that was called wrongly. */
import { table } from '../table.ts';

const USAGE: Readonly<Record<string, readonly [args: string, what: string]>> = {
  'add-node-provider': [
    '<chain> <node> <key> <ip> <ws port> [--trusted true]',
    'ask a chain through another node, before all others',
  ],
  'add-rpcurl-provider': [
    '<url> [--chain-id 8453] [--trusted false] [--auth-type basic|bearer|raw --auth-value <key>]',
    'ask a chain through a URL (ws:// or wss://), before all others',
  ],
  alias: ['<name> [<process id>]', 'set a name for a script, or remove it'],
  cat: ['<vfs path>', 'print a file, such as /terminal:sys/pkg/scripts.json'],
  'clear-state': ['<process id>', 'delete what a process has saved'],
  echo: ['<text>', 'print the text'],
  'get-providers': ['', 'who is asked about chains, the most preferred first'],
  help: ['[<command>]', 'this list, or one line of it'],
  hi: ['<node> <text>', 'send a line to another node (our: this one)'],
  kfetch: ['', 'this node at a glance'],
  kill: ['<process id>', 'end a process'],
  m: [
    "<address> '<body>' [-a <seconds>]",
    'send a message; with -a wait for the answer and print it',
  ],
  ps: ['', 'processes with their CPU, memory and messages'],
  'remove-provider': ['<chain> <node or url>', 'ask them no more'],
  top: ['[<process id>] [-c]', 'processes as the kernel keeps them; -c: with capabilities'],
};

/** One command's line, or all of them. */
export function usage(command?: string): string {
  if (command === undefined) {
    const rows = Object.entries(USAGE).map(([name, [args, what]]) => [`${name} ${args}`, what]);
    return `${table(rows)}\nA full process id runs that package's script. More commands come with other packages.`;
  }
  const entry = USAGE[command];
  if (entry === undefined || !Object.hasOwn(USAGE, command))
    return `No help found for command ${command}`;
  return `usage: ${command} ${entry[0]}\n${entry[1]}`;
}
