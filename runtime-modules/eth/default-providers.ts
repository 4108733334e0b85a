/** Nodes that relay chains for a real node that nobody told of others (eth.md §6): untrusted, so they decide nothing alone (F35). */
import type { ProviderConfig } from '../../wit/eth-api.ts';

const IP = '15.204.59.64';

export const DEFAULT_PROVIDERS: readonly ProviderConfig[] = [
  relay(
    1,
    'eth-provider.hypr',
    9005,
    'b2d90311d4666cc5a5ec6fb827dbbbcb3e884620470c18f5650ee166522a8089',
  ),
  relay(
    10,
    'optimism-provider.hypr',
    9006,
    'da9c10f1c53ab3bd3069bdfa5e86170b5997aa4fe1f33208c6b3d0b3c06c6c47',
  ),
  relay(
    8453,
    'base-provider.hypr',
    9007,
    'c30395d7d5d0273faed4bb63c9a277bd33040bf1d82f4199a6d825b0f94527a0',
  ),
  relay(
    11_155_111,
    'sepolia-provider.hypr',
    9008,
    '6ae839dfda9e20138afd5db17dabfba7e1b029f57f79fe3f9174c33087890872',
  ),
];

function relay(chain_id: number, name: string, port: number, key: string): ProviderConfig {
  const hns_update = {
    name,
    public_key: `0x${key}`,
    ips: [IP],
    ports: new Map([['ws', port]]),
    routers: [],
  };
  return {
    chain_id,
    trusted: false,
    provider: { kind: 'Node', value: { hns_update, use_as_provider: true } },
  };
}
