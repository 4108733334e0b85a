/** `kit run <component.wasm>`: a node in memory with that one component; its answers, traps and metering. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { BuildError } from '../build/build-error.ts';
import { buildComponent } from '../build/component.ts';
import { fail, printable, say, size } from '../report.ts';
import type { Exchange, Printed, SoloNode } from '../solo-node.ts';

/** What `--json` prints for one request, one object a line. */
export interface ExchangeReport {
  readonly request: string;
  readonly end: Exchange['kind'];
  /** UTF-8, U+FFFD where it is none. */
  readonly response?: string;
  readonly metadata?: string;
  readonly blobBytes?: number;
  readonly wallMs: number;
}

const DEFAULT_TIMEOUT_S = 15;

export const run = defineCommand({
  meta: { name: 'run', description: 'Run one component in a node in memory and send it requests.' },
  args: {
    component: {
      type: 'positional',
      description: 'a component, or a source file to build first',
      required: true,
    },
    request: { type: 'string', description: 'body of one request' },
    requests: { type: 'string', description: 'file of bodies, one a line' },
    timeout: {
      type: 'string',
      description: 'seconds to wait for each',
      default: String(DEFAULT_TIMEOUT_S),
    },
    verbosity: {
      type: 'string',
      description: 'show printed lines up to this, 0 to 3',
      default: '0',
    },
    wit: { type: 'boolean', description: 'print world and generation, run nothing' },
    json: { type: 'boolean', description: 'one JSON object a line' },
  },
  async run({ args }) {
    const json = args.json === true;
    try {
      const component = await readComponent(args.component);
      if (args.wit === true) {
        await describe(component, json);
        return;
      }
      const timeoutS = Number(args.timeout);
      if (!Number.isInteger(timeoutS) || timeoutS < 1) {
        throw new BuildError('source', '--timeout is a whole number of seconds from 1 on');
      }
      const shown = Number(args.verbosity);
      await runComponent(component, await readRequests(args), { timeoutS, json, shown });
    } catch (error) {
      fail(json, error);
    }
  },
});

async function runComponent(
  component: Uint8Array,
  requests: readonly string[],
  options: { readonly timeoutS: number; readonly json: boolean; readonly shown: number },
): Promise<void> {
  const { timeoutS, json, shown } = options;
  const { bootSolo } = await import('../solo-node.ts');
  await using node = await bootSolo(component, {
    onPrint: (printed) => {
      if (json || printed.verbosity <= shown) showPrint(printed, json);
    },
  });
  for (const request of requests) {
    const exchange = await node.ask(new TextEncoder().encode(request), { timeoutS });
    showExchange(report(request, exchange), json);
    if (exchange.kind !== 'response') process.exitCode = 1;
  }
  // What it prints at start is shown even if nobody asks it anything.
  if (requests.length === 0) await new Promise((done) => setImmediate(done));
  const output = node.output();
  if (output !== '') say(json, `stdout and stderr:\n${printable(output.trimEnd())}`, { output });
  showUsage(node, json);
}

function report(request: string, exchange: Exchange): ExchangeReport {
  const { kind, wallMs } = exchange;
  if (kind !== 'response') return { request, end: kind, wallMs };
  const { body, metadata, blob } = exchange;
  return {
    request,
    end: kind,
    response: new TextDecoder().decode(body),
    ...(metadata === undefined ? {} : { metadata }),
    ...(blob === undefined ? {} : { blobBytes: blob.bytes.length }),
    wallMs,
  };
}

function showExchange(exchange: ExchangeReport, json: boolean): void {
  const { request, end, response, metadata, blobBytes, wallMs } = exchange;
  const answer = response ?? `(${end})`;
  const blob = blobBytes === undefined ? '' : `  + blob of ${size(blobBytes)}`;
  const note = metadata === undefined ? '' : `  metadata ${metadata}`;
  say(json, `> ${request}\n< ${answer}${blob}${note}  (${wallMs.toFixed(2)} ms)`, exchange);
}

function showPrint({ verbosity, process, text }: Printed, json: boolean): void {
  say(json, `| ${text}`, { print: { verbosity, process, text } });
}

function showUsage(node: SoloNode, json: boolean): void {
  const usage = node.usage();
  if (usage === undefined) {
    say(json, 'the process has ended', { usage: null });
    return;
  }
  const { fuel, memoryBytes, messagesReceived, messagesSent, cpuMs } = usage;
  const text =
    `fuel ${fuel}, ${cpuMs.toFixed(1)} ms, memory ${size(memoryBytes)}, ` +
    `${messagesReceived} messages in, ${messagesSent} out`;
  say(json, text, { usage });
}

/** Prints which world and generation a component targets; refuses what no node runs, in the node's own words. */
async function describe(component: Uint8Array, json: boolean): Promise<void> {
  const { validateComponent } = await import('../../kernel/image/validate.ts');
  const { witOf } = await import('../build/wasm-tools.ts');
  const { standard, imports } = validateComponent(component);
  const contract =
    standard === undefined ? undefined : `${standard.packageName}:process@${standard.version}`;
  const wasi = imports.filter((item) => item.provider === 'wasi').map((item) => item.name);
  const text = [
    `contract    ${contract ?? 'none: it never talks to the kernel'}`,
    `generation  ${standard?.generation ?? '-'}`,
    `wasi        ${wasi.length === 0 ? 'none' : wasi.join(', ')}`,
    '',
    await witOf(component),
  ].join('\n');
  say(json, text, { contract, generation: standard?.generation, wasi });
}

async function readComponent(path: string): Promise<Uint8Array> {
  if (/\.(ts|js|wat|c)$/.test(path)) return buildComponent(path);
  return new Uint8Array(await readSource(path));
}

async function readRequests(args: {
  readonly request?: string | undefined;
  readonly requests?: string | undefined;
}): Promise<string[]> {
  const requests = args.request === undefined ? [] : [args.request];
  if (args.requests === undefined) return requests;
  const lines = (await readSource(args.requests)).toString('utf8').split('\n');
  return [...requests, ...lines.filter((line) => line.trim() !== '')];
}

async function readSource(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new BuildError('source', `${resolve(path)} cannot be read`, { cause: error });
  }
}
