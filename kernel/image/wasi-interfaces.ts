/** The WASI 0.2 interfaces a component may import. Source: kernel.md §5.8, K119. */

const INTERFACES: ReadonlyMap<string, readonly string[]> = new Map([
  ['io', ['error', 'poll', 'streams']],
  ['clocks', ['monotonic-clock', 'wall-clock']],
  ['random', ['random', 'insecure', 'insecure-seed']],
  [
    'cli',
    [
      'environment',
      'exit',
      'stdin',
      'stdout',
      'stderr',
      'terminal-input',
      'terminal-output',
      'terminal-stdin',
      'terminal-stdout',
      'terminal-stderr',
    ],
  ],
  ['filesystem', ['types', 'preopens']],
  [
    'sockets',
    [
      'network',
      'instance-network',
      'ip-name-lookup',
      'tcp',
      'tcp-create-socket',
      'udp',
      'udp-create-socket',
    ],
  ],
]);

/** Any 0.2 release; release candidates had other interfaces. */
const IMPORT_NAME = /^wasi:([a-z]+)\/([a-z0-9-]+)@0\.2\.(0|[1-9]\d{0,8})$/;

/** Whether this is the name of a WASI interface that the node links, at any 0.2.x version. */
export function isWasiInterface(importName: string): boolean {
  const match = IMPORT_NAME.exec(importName);
  return match !== null && INTERFACES.get(match[1] ?? '')?.includes(match[2] ?? '') === true;
}
