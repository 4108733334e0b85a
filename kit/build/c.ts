/** C to a component with Debian's clang (or any that targets wasm32-wasi). */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { NativeBuild } from './assemblyscript.ts';
import { BuildError } from './build-error.ts';
import { GLUE, PROCESS_WIT } from './paths.ts';
import { componentOfCore } from './wasm-tools.ts';

const run = promisify(execFile);

/** What to install where C does not build. */
const C_PACKAGES = 'clang lld wasi-libc libclang-rt-14-dev-wasm32';

const COMPILE_LIMIT_MS = 120_000;

const FLAGS = [
  '--target=wasm32-wasi',
  '-O2',
  '-g0',
  '-mexec-model=reactor',
  '-Wall',
  '-Werror=implicit-function-declaration',
  '-Wl,--export=cabi_realloc',
  '-Wl,--export=init',
  '-Wl,--strip-debug',
  // A guest links against nothing but our glue; what is missing must fail here, not at start.
  '-Wl,--no-entry',
];

/**
 * Compiles the sources of one process together with kit/templates/glue/hyperware.c; `#include "hyperware.h"` is on the path.
 * @throws BuildError: `toolchain-missing` naming the Debian packages, `source` with clang's report
 */
export async function buildC(sources: readonly string[]): Promise<NativeBuild> {
  const glue = join(GLUE, 'hyperware.c');
  const core = await compileC([glue, ...sources], [...FLAGS, '-I', GLUE]);
  const wit = await readFile(PROCESS_WIT, 'utf8');
  const component = await componentOfCore(core, wit, 'process-v1', sources[0] ?? glue);
  return { component, inputs: [glue, join(GLUE, 'hyperware.h'), ...sources] };
}

/**
 * Runs clang over `sources` to one core module.
 * @throws BuildError as `buildC`
 */
export async function compileC(
  sources: readonly string[],
  flags: readonly string[],
): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'kit-c-'));
  const out = join(folder, 'out.wasm');
  try {
    await run('clang', [...flags, '-o', out, ...sources], { timeout: COMPILE_LIMIT_MS }).catch(
      (error: unknown) => {
        throw compileError(sources, error);
      },
    );
    return await readFile(out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function compileError(sources: readonly string[], error: unknown): BuildError {
  const missing = isRecord(error) && error['code'] === 'ENOENT';
  const stderr = isRecord(error) && typeof error['stderr'] === 'string' ? error['stderr'] : '';
  const noTarget =
    /wasi-libc|'stdint\.h'|'string\.h'|wasm-ld|crt1|libclang_rt|No available targets/.test(stderr);
  if (missing || noTarget) {
    return new BuildError(
      'toolchain-missing',
      `building C needs a clang for wasm32-wasi: apt-get install ${C_PACKAGES}${stderr === '' ? '' : `\n${stderr.trim()}`}`,
      { cause: error },
    );
  }
  return new BuildError('source', `${sources.join(', ')} does not compile:\n${stderr.trim()}`, {
    cause: error,
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
