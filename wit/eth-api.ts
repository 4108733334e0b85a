/**
 * Bodies and error names of `eth:distro:sys` (eth.md §2, §4, §5), spelled as on the wire. A body is an action, a configuration
 * action, an update of a relayed subscription, or the bare number of a keepalive, tried in this order.
 */
import {
  bool,
  dictionary,
  i64,
  json,
  jsonText,
  list,
  option,
  record,
  text,
  tuple,
  u16,
  u64,
  union,
  unit,
  type Codec,
  type Decoded,
} from './codec.ts';

export const ethSubscriptionKind = union({
  newHeads: unit,
  logs: unit,
  newPendingTransactions: unit,
  syncing: unit,
});
export type EthSubscriptionKind = Decoded<typeof ethSubscriptionKind>['kind'];

/** `params` goes on to the provider as the text it is. */
const rpcRequest = record({ chain_id: u64, method: text, params: jsonText });
export type EthRpcRequest = Decoded<typeof rpcRequest>;

export const ethAction = union({
  SubscribeLogs: record({ sub_id: u64, chain_id: u64, kind: ethSubscriptionKind, params: json }),
  UnsubscribeLogs: u64,
  Request: rpcRequest,
  /** Ours: a read that a trusted provider answers, or two that agree at one block (findings.md F35). */
  AgreedRequest: record({ chain_id: u64, method: text, params: json }),
});
export type EthAction = Decoded<typeof ethAction>;

/** What net learns of a node (networking.md §1). */
export const hnsUpdate = record({
  name: text,
  public_key: text,
  ips: list(text),
  ports: dictionary(u16),
  routers: list(text),
});
export type HnsUpdate = Decoded<typeof hnsUpdate>;

export const rpcAuth = union({ Basic: text, Bearer: text, Raw: text });
export type RpcAuth = Decoded<typeof rpcAuth>;

const rpcUrl = record({ url: text, auth: option(rpcAuth) });

/** Where a chain is asked: a URL, or another node. */
export const nodeOrRpcUrl = union({
  RpcUrl: rpcUrl,
  Node: record({ hns_update: hnsUpdate, use_as_provider: bool }),
});
export type NodeOrRpcUrl = Decoded<typeof nodeOrRpcUrl>;

export const providerConfig = record({ chain_id: u64, trusted: bool, provider: nodeOrRpcUrl });
export type ProviderConfig = Decoded<typeof providerConfig>;

export const accessSettings = record({ public: bool, allow: list(text), deny: list(text) });
export type AccessSettings = Decoded<typeof accessSettings>;

export const ethConfigAction = union({
  AddProvider: providerConfig,
  RemoveProvider: tuple(u64, text),
  SetPublic: unit,
  SetPrivate: unit,
  AllowNode: text,
  UnallowNode: text,
  DenyNode: text,
  UndenyNode: text,
  SetProviders: list(providerConfig),
  GetProviders: unit,
  GetAccessSettings: unit,
  GetState: unit,
});
export type EthConfigAction = Decoded<typeof ethConfigAction>;

export const ethConfigResponse = union({
  Ok: unit,
  ProviderNotFound: unit,
  PermissionDenied: unit,
  Providers: list(providerConfig),
  AccessSettings: accessSettings,
  State: record({
    active_subscriptions: dictionary(dictionary(option(text))),
    outstanding_requests: list(u64),
  }),
});
export type EthConfigResponse = Decoded<typeof ethConfigResponse>;

export const rpcErrorObject = record({ code: i64, message: text, data: option(json) });
export type RpcErrorObject = Decoded<typeof rpcErrorObject>;

export const ethError = union({
  RpcError: rpcErrorObject,
  MalformedRequest: unit,
  NoRpcForChain: unit,
  SubscriptionClosed: u64,
  InvalidMethod: text,
  InvalidParams: unit,
  PermissionDenied: unit,
  RpcTimeout: unit,
  RpcMalformedResponse: unit,
  RateLimited: unit,
  /** Ours, to AgreedRequest: the two that answered differently. */
  ProvidersDisagree: list(text),
  /** Ours, to AgreedRequest: fewer than two providers could be asked, and none is trusted. */
  NoAgreement: unit,
});
export type EthError = Decoded<typeof ethError>;

export const ethResponse = union({ Ok: unit, Response: json, Err: ethError });
export type EthResponse = Decoded<typeof ethResponse>;

/** An update of a subscription, as a request to its subscriber. */
export const ethSubResult = union({
  Ok: record({ id: u64, result: json }),
  Err: record({ id: u64, error: text }),
});
export type EthSubResult = Decoded<typeof ethSubResult>;

/** A keepalive of a relayed subscription. */
export const ethKeepalive: Codec<number | bigint> = u64;
