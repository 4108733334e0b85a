// A process made with the library that signs and sends in a real component: each method answers with what it got, or with the refusal's code.
import { contract, defineProcess, method, type Process, stateOf, t } from 'hyperware';
import { type Signer, signer } from 'hyperware/signer';

const CHAIN = 31_337;
const DATA = {
  domain: { name: 'Till', version: '1', chainId: CHAIN },
  primaryType: 'Receipt',
} as const;

const asks = contract({
  /** EIP-712 of `Receipt(uint256 total)` or of another type. */
  Typed: method(t.record({ type: t.text, total: t.text }), t.text),
  /** EIP-191 of a tag, a zero and some bytes. */
  Message: method(t.text, t.text),
  Transaction: method(t.record({ to: t.text, data: t.text }), t.text),
  /** Under an id; answers with nonce and hash. */
  Send: method(t.record({ id: t.text, to: t.text, data: t.text }), t.text),
  State: method(t.text, t.text),
  Keys: method(t.unit, t.text),
  Create: method(t.text, t.text),
});

async function refusal(work: (signs: Signer) => Promise<string>, process: Process<number>) {
  try {
    return await work(signer(process));
  } catch (error) {
    return String((error as { code?: string }).code);
  }
}

export default defineProcess({
  contract: asks,
  state: stateOf(t.u32, () => 0, { version: 1 }),
  on: {
    Typed: ({ type, total }, _context, process) =>
      refusal((signs) => {
        const types = { [type]: [{ name: 'total', type: 'uint256' }] };
        const data = { ...DATA, primaryType: type, types, message: { total: BigInt(total) } };
        return signs.signTypedData('till', data);
      }, process),
    Message: (tag, _context, process) =>
      refusal(
        (signs) => signs.signMessage('till', new TextEncoder().encode(`${tag}\0bytes`)),
        process,
      ),
    Transaction: ({ to, data }, _context, process) =>
      refusal(async (signs) => {
        const fees = { maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 1n };
        const call = { chainId: CHAIN, nonce: 0, gasLimit: 50_000, to, data, ...fees };
        return (await signs.signTransaction('till', call)).raw;
      }, process),
    Send: ({ id, to, data }, _context, process) =>
      refusal(async (signs) => {
        const { nonce, hash } = await signs.send(id, 'till', CHAIN, { to, data });
        return `${nonce} ${hash}`;
      }, process),
    State: (id, _context, process) =>
      refusal(async (signs) => {
        const { state, ok } = await signs.sendState(id);
        return `${state} ${ok}`;
      }, process),
    Create: (name, _context, process) => refusal((signs) => signs.createKey(name), process),
    Keys: (_nothing, _context, process) =>
      refusal(async (signs) => (await signs.listKeys()).join(), process),
  },
});
