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

/** Any 0.2 release, and the candidates of late 2023 that components of kinode:process@0.7.0 were built with. */
const IMPORT_NAME =
  /^wasi:([a-z]+)\/([a-z0-9-]+)@0\.2\.(?:(?:0|[1-9]\d{0,8})|0-rc-2023-1[0-2]-[0-3]\d)$/;

/** Whether this is the name of a WASI interface that the node links, at any 0.2.x version. */
export function isWasiInterface(importName: string): boolean {
  const match = IMPORT_NAME.exec(importName);
  return match !== null && INTERFACES.get(match[1] ?? '')?.includes(match[2] ?? '') === true;
}

/** Whether this is the name of the interface that a program exports, at any 0.2.x version. */
export function isRunInterface(exportName: string): boolean {
  return /^wasi:cli\/run@0\.2\.(?:0|[1-9]\d{0,8})$/.test(exportName);
}
