/** Bodies and error names of `notifications:distro:sys` (runtime-modules.md §11), spelled as on the wire. */
import { json, option, record, text, u64, union, unit, type Decoded } from './codec.ts';

/** What a browser's push manager gives out, with the time it was added in milliseconds since 1970; 0: now. */
export const pushSubscription = record({
  endpoint: text,
  /** Base64url without padding: a P-256 point of 65 bytes, and 16 bytes. */
  keys: record({ p256dh: text, auth: text }),
  created_at: u64,
});
export type PushSubscription = Decoded<typeof pushSubscription>;

export const notificationsRequest = union({
  /** To every subscription, as JSON of these four fields. */
  SendNotification: record({ title: text, body: text, icon: option(text), data: option(json) }),
  /** Makes keys if there are none. */
  GetPublicKey: unit,
  /** Replaces the keys; browsers have to subscribe again. */
  InitializeKeys: unit,
  AddSubscription: record({ subscription: pushSubscription }),
  RemoveSubscription: record({ endpoint: text }),
  ClearSubscriptions: unit,
  GetSubscription: record({ endpoint: text }),
});
export type NotificationsRequest = Decoded<typeof notificationsRequest>;

const because = record({ error: text });

export const notificationsError = union({
  SendError: because,
  KeyGenerationError: because,
  StateError: because,
  BadRequest: because,
  BadJson: because,
  KeysNotInitialized: unit,
  WebPushError: because,
  Unauthorized: record({ process: text }),
});
export type NotificationsError = Decoded<typeof notificationsError>;

export const notificationsResponse = union({
  /** It is in the queue. */
  NotificationSent: unit,
  /** Base64url without padding of 65 bytes, as `applicationServerKey`. */
  PublicKey: text,
  KeysInitialized: unit,
  SubscriptionAdded: unit,
  SubscriptionRemoved: unit,
  SubscriptionsCleared: unit,
  SubscriptionInfo: option(pushSubscription),
  Err: notificationsError,
});
export type NotificationsResponse = Decoded<typeof notificationsResponse>;
