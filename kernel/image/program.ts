/**
 * Programs that are no processes: a WASI command, as a component or a core module, checked, instrumented and compiled like an image. It
 * runs once, from its entry to its end, and what it may reach is what its runner hands it (hart/program-engine.ts).
 */
import { ImageError } from '../engine.ts';
import { trampolineSignatures, type Linkable } from '../hart/link.ts';
import { trampolineModule, type TrampolineSignature } from '../hart/trampoline.ts';
import { checkImports } from './check-imports.ts';
import { planComponent, type LinkPlan } from './plan.ts';
import { planProgramModule } from './plan-program.ts';
import { instrumentModules } from './prepare.ts';
import { readComponent } from './read-component.ts';
import { validateComponent } from './validate.ts';

/** Memory that 32-bit addresses reach, in pages of 64 KiB: what a program may declare. What it gets is said when it starts. */
const PAGES_MAX = 65_536;

/** What costs time, and passes between threads. */
export interface PreparedProgram {
  /** Pages of memory it starts with. */
  readonly memoryPages: number;
  readonly modules: readonly WebAssembly.Module[];
  readonly trampoline: WebAssembly.Module;
  readonly signatures: readonly TrampolineSignature[];
}

/** @throws ImageError, and nothing else, whatever the bytes are */
export async function prepareProgram(bytes: Uint8Array): Promise<PreparedProgram> {
  const plan = isComponent(bytes)
    ? planComponent(
        validateComponent(bytes, { world: 'program', memoryPagesMax: PAGES_MAX }).component,
        'program',
      )
    : planProgramModule(bytes, PAGES_MAX);
  checkImports(plan);
  const signatures = trampolineSignatures(plan);
  const [trampoline, ...modules] = await Promise.all(
    [trampolineModule(signatures), ...instrumentModules(plan, PAGES_MAX)].map(compile),
  );
  const memoryPages = plan.steps
    .flatMap((step) => plan.modules[step.module]!.module.memories)
    .reduce((sum, { minimum }) => sum + minimum, 0);
  return { memoryPages, modules, trampoline: trampoline!, signatures };
}

/** Bytes that were prepared, and what came of it, ready to be started. */
export function loadProgram(bytes: Uint8Array, prepared: PreparedProgram): Linkable {
  return { ...prepared, plan: planPrepared(bytes) };
}

function planPrepared(bytes: Uint8Array): LinkPlan {
  return isComponent(bytes)
    ? planComponent(readComponent(bytes), 'program')
    : planProgramModule(bytes, PAGES_MAX);
}

/** By the version of the binary format; what is neither is refused as a component. */
function isComponent(bytes: Uint8Array): boolean {
  return !(bytes[4] === 1 && bytes[6] === 0);
}

/** @throws ImageError for what V8 refuses */
export function compile(bytes: Uint8Array): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>).catch((cause: unknown) => {
    throw new ImageError(
      'invalid',
      `a core module of the component is not valid: ${String(cause)}`,
      { cause },
    );
  });
}
