/** Components for the tests of this folder, made from text as they run. Not part of the product. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { componentEmbed, componentNew, parse } from '@bytecodealliance/jco-transpile/wasm-tools';
import { componentize } from 'componentize-qjs';
import { expect } from 'vitest';
import type { ImageError } from '../engine.ts';
import { validateComponent, type ValidatedComponent } from './validate.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** The parts of the smallest process that `processText` can be given others for. */
export interface ProcessParts {
  /** Component-level text before everything else. */
  readonly before: string;
  /** Text inside the one core module, before its own. */
  readonly core: string;
  /** Text inside the instantiation of that module. */
  readonly args: string;
  /** The component-level type of `init`, as parameters and result. */
  readonly init: string;
  /** What the core module's `init` takes and gives. */
  readonly coreInit: string;
  /** Component-level text after everything else. */
  readonly after: string;
}

/** Text of a component that this node accepts, as far as its parts do not say otherwise. */
export function processText(parts: Partial<ProcessParts> = {}): string {
  const coreInit = parts.coreInit ?? '(param i32 i32)';
  return `(component
    ${parts.before ?? ''}
    (core module $m
      ${parts.core ?? ''}
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "init") ${coreInit} unreachable))
    (core instance $i (instantiate $m ${parts.args ?? ''}))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init ${parts.init ?? '(param "our" string)'}
      (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init))
    ${parts.after ?? ''})`;
}

/** Component or core module text to bytes; nothing is validated. */
export function assemble(text: string): Promise<Uint8Array> {
  return parse(text);
}

/** The bytes of the smallest process with some parts replaced. */
export function processBytes(parts: Partial<ProcessParts> = {}): Promise<Uint8Array> {
  return assemble(processText(parts));
}

/** The echo guest: a real component of the current contract, made the way kit makes it. */
export async function echoComponent(): Promise<Uint8Array> {
  const core = await parse(readFileSync(join(ROOT, 'test/guests/echo.wat'), 'utf8'));
  const witSource = readFileSync(join(ROOT, 'wit/process-v1.wit'), 'utf8');
  return componentNew(await componentEmbed({ binary: core, witSource, world: 'process-v1' }), []);
}

/**
 * A guest straight from the QuickJS builder: components in components, 40 core instances, 1.1 MB. The builder exports an `init` of
 * its own (of another type), so the guest's is called `inix`; kit swaps the two.
 * @param stubWasi  whether WASI is answered inside, by one more nested component
 */
export async function quickJsComponent(stubWasi: boolean): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'image-test-'));
  try {
    const wit = readFileSync(join(ROOT, 'wit/process-v1.wit'), 'utf8');
    writeFileSync(join(folder, 'process.wit'), wit.replace('export init:', 'export inix:'));
    const { component } = await componentize({
      witPath: join(folder, 'process.wit'),
      jsSource: 'export function inix(our) {}',
      world: 'process-v1',
      sync: true,
      optSize: true,
      stubWasi,
    });
    return component;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Matches an `ImageError` by code and message. */
export function refusal(code: ImageError['code'], message: RegExp): unknown {
  return expect.objectContaining({
    name: 'ImageError',
    code,
    message: expect.stringMatching(message),
  });
}

/** Validates the smallest process with some parts replaced, which must be accepted. */
export async function accept(parts: Partial<ProcessParts> = {}): Promise<ValidatedComponent> {
  return validateComponent(await processBytes(parts));
}

/** The same, but it must be refused like this. */
export async function refuse(
  parts: Partial<ProcessParts>,
  code: ImageError['code'],
  message: RegExp,
): Promise<void> {
  const file = await processBytes(parts);
  expect(() => validateComponent(file)).toThrow(refusal(code, message));
}

/** Component text that imports an instance of that name. */
export function importOf(name: string, body = '(export "f" (func))'): { readonly before: string } {
  return { before: `(import "${name}" (instance ${body}))` };
}

/** The head of a component, and of a core module. */
export const HEAD = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
export const MODULE_HEAD = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

export function bytes(...parts: readonly (number | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flat());
}

/** An unsigned integer below 2^31 as LEB128. */
export function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}
