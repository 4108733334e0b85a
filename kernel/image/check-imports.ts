/** The types a component states for the functions it imports are those of the host. Source: findings.md F9; kernel.md §2, §5.8, §9. */
import { ImageError } from '../engine.ts';
import { rulesOf } from '../hart/generations.ts';
import { standardMismatch } from '../hart/standard/signatures.ts';
import { wasiMismatch } from '../hart/wasi/signatures.ts';
import type { LinkPlan } from './plan.ts';

/** @throws ImageError 'unsupported-import' naming the first function that the host lacks or has with another type */
export function checkImports(plan: LinkPlan): void {
  for (const made of plan.functions) {
    if (made.kind !== 'import') continue;
    const rules = rulesOf(made.interface);
    const mismatch =
      rules === undefined
        ? wasiMismatch(made.interface, made.name, made.type)
        : standardMismatch(made.interface, made.name, made.type, rules);
    if (mismatch !== undefined) throw new ImageError('unsupported-import', mismatch);
  }
}
