import { defineProcess, type Process, sleep, t } from 'hyperware';
import { connect } from 'hyperware/web-socket';

const price = t.record({ symbol: t.text, cents: t.u32 });

async function follow(process: Process<unknown>): Promise<void> {
  const again = (): Promise<void> => sleep(process, 5_000).then(() => follow(process));
  try {
    await connect(process, 'wss://prices.example/live', {
      headers: { Authorization: 'Bearer of-the-owner' },
      receives: price,
      onMessage: ({ symbol, cents }) => process.print(`${symbol}: ${cents}`),
      onClose: again,
    });
  } catch {
    await again();
  }
}

export default defineProcess({ setup: (process) => void follow(process) });
