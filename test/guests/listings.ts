/** Keeps packages listed, from the logs of the chain. Asked for JSON: `["all"]` is answered with what is listed, anything else with what became of it. */
import { defineProcess } from 'hyperware';
import { Eth, takeEthUpdate } from 'hyperware/eth';
import { Hypermap } from 'hyperware/hypermap';
import { listingFilter, Listings } from 'hyperware/listings';

const looked: string[] = [];
let listings: Listings;

export default defineProcess({
  setup: async (process) => {
    const eth = new Eth(process, { chainId: 31_337 });
    const map = new Hypermap(process, eth);
    listings = new Listings(process, map);
    const take = async (log: Parameters<Listings['take']>[0]): Promise<void> => {
      const found = await listings.take(log);
      looked.push(found?.kind === 'rejected' ? found.reason : (found?.kind ?? 'nothing'));
    };
    await eth.subscribeLogs(listingFilter(map.address), take);
    for (const log of await eth.logs(listingFilter(map.address))) await take(log);
  },
  onMessage: async (context) => {
    if (await takeEthUpdate(context)) return undefined;
    const [what] = JSON.parse(context.text) as string[];
    return JSON.stringify(what === 'all' ? listings.all() : looked);
  },
});
