/**
 * The few functions of wasm-tools that building needs. They come with jco-transpile, which the engine depends on anyway, so that
 * packages build without jco itself.
 */
import {
  componentEmbed,
  componentNew,
  componentWit,
  parse,
} from '@bytecodealliance/jco-transpile/wasm-tools';
import { BuildError } from './build-error.ts';

/** Wraps a core module whose imports and exports follow the canonical ABI of `world` into a component. */
export async function componentOfCore(
  core: Uint8Array,
  wit: string,
  world: string,
  source: string,
): Promise<Uint8Array> {
  try {
    return await componentNew(await componentEmbed({ binary: core, witSource: wit, world }), []);
  } catch (error) {
    throw new BuildError(
      'componentize',
      `${source}: the module does not fit world ${world}: ${text(error)}`,
      { cause: error },
    );
  }
}

/** Component (or core module) text to bytes. */
export async function parseText(wat: string, source: string): Promise<Uint8Array> {
  try {
    return await parse(wat);
  } catch (error) {
    throw new BuildError('source', `${source}: ${text(error)}`, { cause: error });
  }
}

/** The world a component implements, as WIT text. */
export function witOf(component: Uint8Array): Promise<string> {
  return componentWit(component);
}

function text(error: unknown): string {
  if (error instanceof Error) {
    const payload: unknown = 'payload' in error ? error.payload : undefined;
    return typeof payload === 'string' ? payload : error.message;
  }
  return String(error);
}
