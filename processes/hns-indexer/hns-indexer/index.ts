/**
 * `hns-indexer:hns-indexer:sys`: the namespace as the node knows it (hypermap.md §13). It reads the chain into the ledger, tells `net` how
 * nodes are reached, and answers who asks for names.
 */
import {
  type Context,
  defineProcess,
  every,
  packageOf,
  type Process,
  stateOf,
  t,
} from '../../lib/index.ts';
import { capability, sameCapability } from '../../lib/caps.ts';
import { takeEthUpdate } from '../../lib/eth.ts';
import { fromHex } from '../../../contracts/hex.ts';
import { isFullName } from '../../../contracts/hypermap.ts';
import { indexerRequest, type IndexerRequest } from '../contract.ts';
import { readChainSettings } from '../../lib/chain-settings.ts';
import { ChainReader } from './chain-reader.ts';
import { Ledger } from './ledger.ts';
import { Index } from './index-of-names.ts';

const CHECKPOINT_MS = 300_000;

const state = t.record({
  /** Hash of the first block, which tells chains of the same number apart. */
  origin: t.option(t.text),
});
type State = t.Decoded<typeof state>;

let index: Index;

export default defineProcess({
  state: stateOf(state, (): State => ({ origin: undefined })),
  setup: async (process: Process<State>) => {
    const settings = await readChainSettings(process);
    const ledger = new Ledger(process, `ledger:${packageOf(process.our.process)}`);
    const chain = new ChainReader(process, settings);
    index = new Index({ process, settings, ledger, chain });
    await index.open();
    // Not awaited: who asks for a name is answered while the chain is being read.
    index.start();
    void every(process, CHECKPOINT_MS, () => index.checkpoint()).catch((error: unknown) =>
      process.print(`checkpoints have stopped: ${String(error)}`),
    );
  },
  onMessage: async (context, process) => {
    if (await takeEthUpdate(context)) return;
    const request = indexerRequest.decode(context.body);
    if (!request.ok || !context.expectsResponse) return;
    await answer(request.value, context, process);
  },
});

async function answer(
  request: IndexerRequest,
  context: Context,
  process: Process<State>,
): Promise<void> {
  switch (request.kind) {
    case 'NamehashToName': {
      const { hash, block } = request.value;
      await index.reached(block, context);
      const bytes = fromHex(hash);
      const name = bytes?.length === 32 ? await index.nameOf(bytes) : undefined;
      return context.reply(JSON.stringify({ Name: name ?? null }));
    }
    case 'NodeInfo': {
      const { name, block } = request.value;
      await index.reached(block, context);
      const node = isFullName(name) ? await index.node(name) : undefined;
      return context.reply(joined('{"NodeInfo":', node ?? 'null', '}'));
    }
    case 'GetState':
      await index.reached(request.value.block, context);
      return context.reply(joined('{"GetState":', ...(await index.dump()), '}'));
    case 'Reset': {
      const root = capability(process.our, { root: true });
      const allowed =
        context.isOurPackage && context.capabilities.some((held) => sameCapability(held, root));
      if (!allowed) return context.reply('{"Reset":{"Err":"NoRootCap"}}');
      await index.reset();
      return context.reply('{"Reset":"Success"}');
    }
  }
}

/** Bytes and texts, one after another. */
function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const encoder = new TextEncoder();
  const pieces = parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part));
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
