/** `wasi:filesystem`: no directory is ever opened, so a guest never holds a descriptor; what it calls all the same is refused. */
import { hostResource } from '../abi/types.ts';
import { err } from './interface.ts';
import type { WasiFunction, WasiInterface } from './interface.ts';

// There never is one of either.
const descriptor = hostResource('descriptor');
const directoryEntryStream = hostResource('directory-entry-stream');

const refused = err('not-permitted');
const refuse = () => refused;

/** The methods of `descriptor` that return a result. */
const refusedMethods = [
  'read-via-stream',
  'write-via-stream',
  'append-via-stream',
  'advise',
  'sync-data',
  'get-flags',
  'get-type',
  'set-size',
  'set-times',
  'read',
  'write',
  'read-directory',
  'sync',
  'create-directory-at',
  'stat',
  'stat-at',
  'set-times-at',
  'link-at',
  'open-at',
  'readlink-at',
  'remove-directory-at',
  'rename-at',
  'symlink-at',
  'unlink-file-at',
  'metadata-hash',
  'metadata-hash-at',
];

const functions: Record<string, WasiFunction> = {
  '[method]descriptor.is-same-object': (one: unknown, other: unknown) => one === other,
  '[method]directory-entry-stream.read-directory-entry': refuse,
  // No stream error of ours comes from a file.
  'filesystem-error-code': () => undefined,
};
for (const name of refusedMethods) functions[`[method]descriptor.${name}`] = refuse;

export const filesystemInterfaces: Readonly<Record<string, WasiInterface>> = {
  'wasi:filesystem/types': {
    functions,
    resources: { descriptor, 'directory-entry-stream': directoryEntryStream },
  },
  'wasi:filesystem/preopens': { functions: { 'get-directories': () => [] }, resources: {} },
};
