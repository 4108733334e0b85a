/**
 * Tests that need a program of the machine: skipped, with the reason, where it is missing, unless HYPERLOOM_REQUIRE (a list with
 * commas, set in CI) says that it must be there.
 */
import type { TestContext } from 'vitest';

/** Ends the test here: as skipped, or as failed where `tool` is required. */
export function missing(context: TestContext, tool: string, reason: string): never {
  const required = (process.env['HYPERLOOM_REQUIRE'] ?? '').split(',');
  if (required.includes(tool)) throw new Error(`${tool} is required here, but ${reason}`);
  context.skip(reason);
}
