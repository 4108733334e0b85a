/** HypermapProxy: generated from contracts/src/namespace/HypermapProxy.sol by `npm run build:contracts`; not to be edited. */
import type { BaseContract } from 'ethers';
import type { Code, ContractAbi } from '../contract.ts';

export interface HypermapProxy extends BaseContract {
}

export const hypermapProxyAbi: ContractAbi<HypermapProxy> = [
  {"inputs":[{"name":"implementation","type":"address"},{"name":"initialization","type":"bytes"}],"stateMutability":"nonpayable","type":"constructor"},
  {"inputs":[{"name":"target","type":"address"}],"name":"AddressEmptyCode","type":"error"},
  {"inputs":[{"name":"implementation","type":"address"}],"name":"ERC1967InvalidImplementation","type":"error"},
  {"inputs":[],"name":"ERC1967NonPayable","type":"error"},
  {"inputs":[],"name":"ERC1967ProxyUninitialized","type":"error"},
  {"inputs":[],"name":"FailedCall","type":"error"},
  {"anonymous":false,"inputs":[{"indexed":true,"name":"implementation","type":"address"}],"name":"Upgraded","type":"event"},
  {"stateMutability":"payable","type":"fallback"},
];

export const hypermapProxyCode: Code = {
  name: 'HypermapProxy',
  creation: '0x60806040523461014b576102618038038061001981610163565b928339810160408282031261014b578151916001600160a01b0383169081840361014b576020810151906001600160401b03821161014b570182601f8201121561014b578051906001600160401b03821161014f57610081601f8301601f1916602001610163565b938285526020838301011161014b57815f9260208093018387015e8401015281511561013c57823b1561012a577f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc80546001600160a01b031916821790557fbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b5f80a28051156101235761011391610188565b505b604051604c90816102158239f35b5050610115565b634c9c8ce360e01b5f5260045260245ffd5b6330a289cf60e21b5f5260045ffd5b5f80fd5b634e487b7160e01b5f52604160045260245ffd5b6040519190601f01601f191682016001600160401b0381118382101761014f57604052565b905f8091602081519101845af48080610201575b156101bc5750506040513d81523d5f602083013e60203d82010160405290565b156101e157639996b31560e01b5f9081526001600160a01b0391909116600452602490fd5b3d156101f2576040513d5f823e3d90fd5b63d6bda27560e01b5f5260045ffd5b503d15158061019c5750813b151561019c56fe60806040527f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545f9081906001600160a01b0316368280378136915af43d5f803e156048573d5ff35b3d5ffd',
  runtime: '0x60806040527f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545f9081906001600160a01b0316368280378136915af43d5f803e156048573d5ff35b3d5ffd',
  immutables: {},
};
