/** `import … from 'hyperware'`: what applications use. The one file that gathers, because a guest has no package.json to list entries. */
export { capability, holds, keepCapabilities, messaging, network, sameCapability } from './caps.ts';
export { client, type Client } from './client.ts';
export { Context, RequesterGone, type AnswerOptions, type DeferredReply } from './context.ts';
export { contract, method, type Access, type Contract } from './contract.ts';
export { type Reply, type RequestOptions, type SendOptions } from './conversation.ts';
export { MessageTooLarge, NoResponse, Refusal, RemoteError } from './errors.ts';
export { host, type Delivery, type Host } from './host.ts';
export {
  defineProcess,
  Process,
  type Definition,
  type Part,
  type PartAnswer,
  type Taker,
  type Target,
} from './process.ts';
export { defineScript, splitWords, WrongUsage, type ScriptArguments } from './script.ts';
export { spawnChild, SpawnFailed, type ChildOptions } from './spawn.ts';
export { from, stateOf } from './state.ts';
export { at, every, sleep, TimedOut, timeout } from './timers.ts';
export {
  address,
  formatAddress,
  packageOf,
  processId,
  processIn,
  sameAddress,
} from '../../wit/address.ts';
export type * from '../../wit/types.ts';
export * as t from '../../wit/codec.ts';
