/** Wallets of the browser: found by EIP-6963, or the one that is injected as `ethereum`; asked by EIP-1193. */

const found = new Map();

window.addEventListener('eip6963:announceProvider', ({ detail }) => {
  found.set(detail.info.uuid, { ...detail.info, provider: detail.provider });
});

/** Wallets there are: name, icon (a data URL) and provider. */
export function wallets() {
  window.dispatchEvent(new Event('eip6963:requestProvider'));
  if (found.size > 0) return [...found.values()];
  const { ethereum } = window;
  return ethereum === undefined ? [] : [{ name: 'Browser wallet', icon: '', provider: ethereum }];
}

const USER_REJECTED = 4001;
const UNKNOWN_CHAIN = 4902;
const RECEIPT_POLL_MS = 1_000;
/** Longest wait for a block with a transaction in it. */
const RECEIPT_MS_MAX = 180_000;

export class Wallet {
  #provider;
  #chain;

  /** Asks for an account, and for the node's chain. */
  static async connect(provider, chain) {
    const wallet = new Wallet(provider, chain);
    const [address] = await wallet.#ask('eth_requestAccounts');
    if (typeof address !== 'string') throw new Error('The wallet has no account for this page.');
    wallet.address = address;
    await wallet.useChain();
    return wallet;
  }

  constructor(provider, chain) {
    this.#provider = provider;
    this.#chain = chain;
  }

  get chainName() {
    return this.#chain.name;
  }

  /** Called when the account is another, or none. */
  onChange(listener) {
    this.#provider.on?.('accountsChanged', ([address]) => {
      if (address?.toLowerCase() !== this.address.toLowerCase()) listener();
    });
  }

  /** Signatures and transactions are worth nothing on another chain. */
  async useChain() {
    const chainId = `0x${this.#chain.id.toString(16)}`;
    if (Number(await this.#ask('eth_chainId')) === this.#chain.id) return;
    try {
      await this.#ask('wallet_switchEthereumChain', [{ chainId }]);
    } catch (error) {
      if (error.code !== UNKNOWN_CHAIN) throw error;
      await this.#ask('wallet_addEthereumChain', [
        {
          chainId,
          chainName: this.#chain.name,
          rpcUrls: this.#chain.rpc_urls,
          nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
        },
      ]);
      await this.#ask('wallet_switchEthereumChain', [{ chainId }]);
    }
    if (Number(await this.#ask('eth_chainId')) !== this.#chain.id) {
      throw new Error(`The wallet is on another chain. Switch it to ${this.#chain.name}.`);
    }
  }

  /** Sends a transaction and waits until it is in a block. */
  async send({ to, data }) {
    await this.useChain();
    const transaction = { from: this.address, to, data };
    const hash = await this.#ask('eth_sendTransaction', [transaction]);
    const endMs = Date.now() + RECEIPT_MS_MAX;
    while (Date.now() < endMs) {
      const receipt = await this.#ask('eth_getTransactionReceipt', [hash]);
      if (receipt !== null && receipt !== undefined) {
        if (Number(receipt.status) === 1) return;
        throw new Error('The transaction failed on chain. Somebody may have been faster.');
      }
      await new Promise((resolve) => setTimeout(resolve, RECEIPT_POLL_MS));
    }
    throw new Error('The transaction is not in a block after three minutes. See your wallet.');
  }

  /** Signs what lets this node boot. */
  async signBoot({ username, password_hash, timestamp, direct, reset }) {
    await this.useChain();
    const data = {
      types: {
        EIP712Domain: [
          { name: 'name', type: 'string' },
          { name: 'version', type: 'string' },
          { name: 'chainId', type: 'uint256' },
          { name: 'verifyingContract', type: 'address' },
        ],
        Boot: [
          { name: 'username', type: 'string' },
          { name: 'password_hash', type: 'bytes32' },
          { name: 'timestamp', type: 'uint256' },
          { name: 'direct', type: 'bool' },
          { name: 'reset', type: 'bool' },
          { name: 'chain_id', type: 'uint256' },
        ],
      },
      primaryType: 'Boot',
      domain: {
        name: 'Hypermap',
        version: '1',
        chainId: this.#chain.id,
        verifyingContract: this.#chain.hypermap,
      },
      message: { username, password_hash, timestamp, direct, reset, chain_id: this.#chain.id },
    };
    return this.#ask('eth_signTypedData_v4', [this.address, JSON.stringify(data)]);
  }

  async #ask(method, params = []) {
    try {
      return await this.#provider.request({ method, params });
    } catch (error) {
      if (error?.code === USER_REJECTED) {
        throw new Error('You said no in the wallet.', { cause: error });
      }
      throw error;
    }
  }
}

/** `0x1234…abcd`. */
export function shortAddress(address) {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}
