/**
 * A hundred thousand namespace events on the embedded chain, in seconds: a contract of thirty instructions takes the namespace's place and
 * emits what it is sent. The events are those of registrations: a name, its key, address and port.
 */
import { HYPERMAP } from '../../contracts/addresses.ts';
import type { Chain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { type MadeLog, mintLog, nodeLogs } from '../../processes/hns-indexer/testing.ts';

/** Of one transaction, which is one block. */
const EVENTS_PER_BLOCK = 500;
const EVENTS_PER_NAME = 4;
const GAS = '0xe00000';

/**
 * Calldata is records of a length, four topics and so many bytes; each becomes a LOG4:
 *   push 0 / loop: if calldatasize <= at, stop / copy the bytes to 0 / log4 / at += 160 + length / jump loop
 */
const EMITTER =
  '0x6000' + // PUSH1 0: where the next record is
  '5b' + // loop, at 2
  '803611' + // DUP1 CALLDATASIZE GT
  '15603357' + // ISZERO PUSH1 end JUMPI
  '8035' + // DUP1 CALLDATALOAD: length
  '808260a0016000' + // DUP1 DUP3 PUSH1 160 ADD PUSH1 0
  '37' + // CALLDATACOPY
  '8160800135' + // topic 3
  '8260600135' + // topic 2
  '8360400135' + // topic 1
  '8460200135' + // topic 0
  '846000a4' + // DUP5 PUSH1 0 LOG4
  '60a0010160' + // PUSH1 160 ADD ADD PUSH1
  '0256' + // loop JUMP
  '5b00'; // end: JUMPDEST STOP

/** Puts the events onto the chain. Returns how many there are, and the last block that has some. */
export async function emitEvents(
  chain: Chain,
  wanted: number,
): Promise<{ events: number; block: number }> {
  await chain.rpc.request('anvil_setCode', HYPERMAP, EMITTER);
  const logs = [mintLog('bench')];
  for (let name = 0; logs.length + EVENTS_PER_NAME <= wanted; name++)
    logs.push(...nodeLogs(`node-${name}.bench`, name));
  for (let from = 0; from < logs.length; from += EVENTS_PER_BLOCK)
    await emit(chain, logs.slice(from, from + EVENTS_PER_BLOCK));
  return { events: logs.length, block: Number(await chain.rpc.request('eth_blockNumber')) };
}

async function emit(chain: Chain, logs: readonly MadeLog[]): Promise<void> {
  const records = logs.map(({ topics, data }) => {
    const length = ((data.length - 2) / 2).toString(16).padStart(64, '0');
    return length + topics.map((topic) => topic.slice(2)).join('') + data.slice(2);
  });
  const transaction = {
    from: personas.alice.address,
    to: HYPERMAP,
    data: `0x${records.join('')}`,
    gas: GAS,
  };
  const receipt = (await chain.rpc.request('eth_sendTransactionSync', transaction)) as {
    logs: unknown[];
  };
  if (receipt.logs.length !== logs.length)
    throw new Error(`${receipt.logs.length} of ${logs.length} events were emitted`);
}
