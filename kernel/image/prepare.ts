/** The work between component bytes and what V8 compiles; pure, and the body of the prepare worker. */
import { ImageError } from '../engine.ts';
import { checkImports } from './check-imports.ts';
import { instrument, INSTRUMENTATION_VERSION } from './fuel.ts';
import { planComponent, type LinkPlan } from './plan.ts';
import { validateComponent } from './validate.ts';

/** Instrumented bytes of one component, all modules together: 8 times today's largest guest. */
const PREPARED_BYTES_MAX = 128 * 1024 * 1024;

/** What cached preparations depend on beside the component: a change of either makes them stale. */
export const PREPARATION_VERSION = `2 ${INSTRUMENTATION_VERSION}`;

/**
 * Validates a component, plans it, and instruments its core modules, in the order of the plan.
 * @throws ImageError naming what is wrong
 */
export function prepare(component: Uint8Array): Uint8Array[] {
  const plan = planComponent(validateComponent(component).component);
  checkImports(plan);
  return instrumentModules(plan);
}

/** The core modules of a plan, instrumented, in its order. @throws ImageError */
export function instrumentModules(plan: LinkPlan, memoryPagesMax?: number): Uint8Array[] {
  let total = 0;
  return plan.modules.map(({ bytes }) => {
    const made = instrument(bytes, memoryPagesMax);
    total += made.length;
    if (total > PREPARED_BYTES_MAX)
      throw new ImageError(
        'limit',
        `the component's code is over ${PREPARED_BYTES_MAX} bytes once instrumented`,
      );
    return made;
  });
}
