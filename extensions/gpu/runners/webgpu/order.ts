/** What a WebGPU job asks for in `entry.args` (compute-market.md §9.5), checked; and what its child process is told. */
import type { DocumentValue } from '../../../../wit/canonical-json.ts';
import { isObject } from '../../../../wit/canonical-json.ts';
import { pathProblem } from '../../../../wit/jobs/paths.ts';
import type { JobSpec } from '../../../../wit/jobs/spec.ts';

/** One binding of group 0. Storage that is written has an `output`; what is only read an `input`; a buffer may have both, or neither. */
export interface BufferOrder {
  readonly binding: number;
  readonly kind: 'storage' | 'read-only-storage' | 'uniform';
  /** Bytes; of the input, if left out. */
  readonly size: number;
  readonly input: string | undefined;
  readonly output: string | undefined;
}

export interface WebGpuOrder {
  /** The function of the module. */
  readonly entryPoint: string;
  readonly workgroups: readonly [number, number, number];
  /** How often it is dispatched. */
  readonly repeat: number;
  readonly buffers: readonly BufferOrder[];
}

const BUFFERS_MAX = 8;
const WORKGROUPS_MAX = 65_535;
const REPEATS_MAX = 100_000;
/** Bytes of one buffer: what every adapter allows. */
const BUFFER_BYTES_MAX = 128 * 1024 * 1024;
const KINDS = ['storage', 'read-only-storage', 'uniform'] as const;

/** The order of a spec, or what is wrong with it. */
export function orderOf({ entry, inputs }: JobSpec): WebGpuOrder | string {
  const args = entry.args ?? {};
  const entryPoint = args['entryPoint'] ?? 'main';
  const repeat = args['repeat'] ?? 1;
  const workgroups = args['workgroups'];
  const buffers = args['buffers'];
  if (typeof entryPoint !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(entryPoint))
    return 'entryPoint must be the name of a function';
  if (!isWithin(repeat, 1, REPEATS_MAX)) return `repeat must be from 1 to ${REPEATS_MAX}`;
  if (
    !Array.isArray(workgroups) ||
    workgroups.length !== 3 ||
    !workgroups.every((one) => isWithin(one, 1, WORKGROUPS_MAX))
  )
    return `workgroups must be three numbers from 1 to ${WORKGROUPS_MAX}`;
  if (!Array.isArray(buffers) || buffers.length === 0 || buffers.length > BUFFERS_MAX)
    return `buffers must be a list of 1 to ${BUFFERS_MAX}`;
  const sizes = new Map(inputs.map(({ path, size }) => [path, size]));
  const made: BufferOrder[] = [];
  for (const one of buffers as readonly DocumentValue[]) {
    const buffer = bufferOf(one, sizes);
    if (typeof buffer === 'string') return buffer;
    if (made.some(({ binding }) => binding === buffer.binding))
      return `binding ${buffer.binding} is there twice`;
    made.push(buffer);
  }
  // Proof of the type: three numbers, by the check above.
  return {
    entryPoint,
    repeat,
    workgroups: workgroups as unknown as WebGpuOrder['workgroups'],
    buffers: made,
  };
}

function bufferOf(value: DocumentValue, sizes: ReadonlyMap<string, number>): BufferOrder | string {
  if (!isObject(value)) return 'a buffer must be an object';
  const { binding, kind = 'storage', input, output } = value;
  if (!isWithin(binding, 0, 999)) return 'binding must be from 0 to 999';
  if (!KINDS.some((one) => one === kind)) return `kind must be one of ${KINDS.join(', ')}`;
  if (input !== undefined && (typeof input !== 'string' || !sizes.has(input)))
    return `binding ${binding}: there is no such input`;
  if (output !== undefined && (typeof output !== 'string' || pathProblem(output) !== undefined))
    return `binding ${binding}: output is no path`;
  const size = value['size'] ?? (input === undefined ? undefined : sizes.get(input));
  if (!isWithin(size, 4, BUFFER_BYTES_MAX) || size % 4 !== 0)
    return `binding ${binding}: size must be a multiple of 4 up to ${BUFFER_BYTES_MAX}`;
  if (input !== undefined && sizes.get(input)! > size)
    return `binding ${binding}: the input is larger than the buffer`;
  // Proof of the type: one of KINDS.
  return { binding, kind: kind as BufferOrder['kind'], size, input, output };
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && value >= least && value <= most;
}

/** What the child gets as its one message. */
export type ChildOrder =
  | { readonly ask: 'adapter'; readonly library: string }
  | {
      readonly ask: 'run';
      readonly library: string;
      readonly module: string;
      readonly inputs: string;
      readonly outputs: string;
      readonly order: WebGpuOrder;
    };

/** What it answers, once. */
export type ChildAnswer =
  | {
      readonly kind: 'adapter';
      readonly name: string;
      readonly limits: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'done'; readonly adapter: string; readonly gpuMs: number }
  | {
      readonly kind: 'failed';
      readonly code: 'IMAGE_INVALID' | 'GPU_LOST' | 'INTERNAL';
      readonly message: string;
    };
