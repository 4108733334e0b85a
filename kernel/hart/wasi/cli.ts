/** `wasi:cli`: no arguments, no environment, standard input at its end, two outputs, no terminal; exit is a trap (K96). */
import { Trap } from '../../process-host.ts';
import { hostResource } from '../abi/types.ts';
import { InputStream, OutputStream } from './streams.ts';
import { interfaceOf } from './interface.ts';
import type { WasiInterface } from './interface.ts';

// There never is one of either.
const terminalInput = hostResource('terminal-input');
const terminalOutput = hostResource('terminal-output');

export interface Outputs {
  readonly stdout: (bytes: Uint8Array) => void;
  readonly stderr: (bytes: Uint8Array) => void;
}

function exit(code: number): never {
  throw new Trap(`the guest called exit(${code})`);
}

const none = (): undefined => undefined;

export function cliInterfaces({ stdout, stderr }: Outputs): Record<string, WasiInterface> {
  return {
    'wasi:cli/environment': interfaceOf({
      'get-environment': () => [],
      'get-arguments': () => [],
      'initial-cwd': none,
    }),
    'wasi:cli/exit': interfaceOf({
      exit: (status: { readonly tag: 'ok' | 'err' }) => exit(status.tag === 'ok' ? 0 : 1),
      'exit-with-code': exit,
    }),
    'wasi:cli/stdin': interfaceOf({ 'get-stdin': () => new InputStream() }),
    'wasi:cli/stdout': interfaceOf({ 'get-stdout': () => new OutputStream(stdout) }),
    'wasi:cli/stderr': interfaceOf({ 'get-stderr': () => new OutputStream(stderr) }),
    'wasi:cli/terminal-input': interfaceOf({}, { 'terminal-input': terminalInput }),
    'wasi:cli/terminal-output': interfaceOf({}, { 'terminal-output': terminalOutput }),
    'wasi:cli/terminal-stdin': interfaceOf({ 'get-terminal-stdin': none }),
    'wasi:cli/terminal-stdout': interfaceOf({ 'get-terminal-stdout': none }),
    'wasi:cli/terminal-stderr': interfaceOf({ 'get-terminal-stderr': none }),
  };
}
