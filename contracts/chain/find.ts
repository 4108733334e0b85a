/** Whether a development chain is at a port of this machine already: another node's perhaps, which whoever finds it uses and does not end. */
import { CHAIN_ID } from '../addresses.ts';

/** Milliseconds that a chain on a given port has to answer; it is on this machine. */
const PROBE_MS = 1_000;

/** Whether chain 31337 answers there. Never rejects. */
export async function chainAnswersAt(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}',
      signal: AbortSignal.timeout(PROBE_MS),
    });
    const { result } = (await response.json()) as { result?: unknown };
    return Number(result) === CHAIN_ID;
  } catch {
    return false;
  }
}
