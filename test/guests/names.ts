/** Reads and watches names through the process library. Asked for JSON of one of: get, calls, block, raw, watch, seen, hashes. */
import { defineProcess, type NoResponse } from 'hyperware';
import { Eth, EthError, takeEthUpdate } from 'hyperware/eth';
import { Hypermap, namehash } from 'hyperware/hypermap';

const seen: string[] = [];

export default defineProcess({
  onMessage: async (context, process) => {
    if (await takeEthUpdate(context)) return undefined;
    const eth = new Eth(process, { chainId: 31_337 });
    const map = new Hypermap(process, eth);
    const [what, name = '', data = ''] = JSON.parse(context.text) as string[];
    switch (what) {
      case 'get':
        return JSON.stringify(await map.get(name, { agreed: true }));
      case 'calls':
        return JSON.stringify([
          await map.mintCall('os', { who: data, label: name.split('.')[0] ?? '' }),
          await map.noteCall(name, '~ip', '0x7f000001').catch(String),
          await map.factCall(name, '!born', '0x2025').catch(String),
        ]);
      case 'block':
        return JSON.stringify(
          await eth.blockNumber().catch((error: EthError) => `${error.name} ${error.code}`),
        );
      case 'raw': {
        const asked = { Request: { chain_id: 31_337, method: 'eth_blockNumber', params: null } };
        const options = { timeoutS: 2 };
        const answer = await process.request('eth:distro:sys', JSON.stringify(asked), options).then(
          () => 'answered',
          (error: NoResponse) => `${error.name} ${error.kind}`,
        );
        return JSON.stringify(answer);
      }
      case 'watch':
        await map.subscribeNotes(name, (note) => void seen.push(`${note.label}=${note.data}`));
        return '"watching"';
      case 'hashes': {
        const started = Date.now();
        for (let index = 0; index < 100; index++) namehash(`n${index}.${name}`);
        return JSON.stringify({ msEach: (Date.now() - started) / 100 });
      }
      default:
        return JSON.stringify(seen);
    }
  },
});
