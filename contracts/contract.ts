/**
 * Contracts as typed values: what the generated modules in `abi/` are made of, and how to reach a deployed contract through ethers.
 * Those modules import only types from here, so whoever needs no binding loads no ethers.
 */
import {
  Contract,
  type BaseContract,
  type BaseContractMethod,
  type ContractRunner,
  type ContractTransactionResponse,
  type JsonFragment,
} from 'ethers';

/** A function that reads. */
export type View<A extends unknown[], R> = BaseContractMethod<A, R, R>;
/** A function that sends a transaction; `.staticCall` of it returns R. */
export type Call<A extends unknown[], R> = BaseContractMethod<A, R, ContractTransactionResponse>;

/** An ABI that knows the type of its binding. The second member exists in types only. */
export type ContractAbi<C extends BaseContract> = readonly JsonFragment[] & {
  readonly binding?: C;
};

/** Code of a contract. */
export interface Code {
  /** In Solidity. */
  readonly name: string;
  /** What a deployment runs, before its constructor's arguments. `0x` and hex. */
  readonly creation: string;
  /** What stands at the address, with zeros where immutables go. `0x` and hex. */
  readonly runtime: string;
  /** Name of an immutable to the offsets, in bytes, of its 32-byte places in `runtime`. */
  readonly immutables: Readonly<Record<string, readonly number[]>>;
}

/**
 * The contract at `address`, with the functions of its ABI.
 * @param runner  a provider for reading, a signer for sending too
 */
export function contractAt<C extends BaseContract>(
  abi: ContractAbi<C>,
  address: string,
  runner?: ContractRunner,
): C {
  // The ABI says what there is; that C says the same is what the generator is for.
  return new Contract(address, abi, runner ?? null) as unknown as C;
}
