/** Limits of notifications. */

/** A message's body. */
export const BODY_BYTES_MAX = 64 * 1024;
/** A notification as JSON: what fits into the one record of 4,096 bytes that push services have to take (RFC 8291 §4). */
export const PAYLOAD_BYTES_MAX = 3_993;
/** Subscribed browsers; a further one is refused. */
export const SUBSCRIPTIONS_MAX = 100;
/** Length of an endpoint, in UTF-16 units. */
export const ENDPOINT_CHARS_MAX = 2_048;
/** A subscription older than this is forgotten when another is added, in milliseconds. */
export const SUBSCRIPTION_MS_MAX = 30 * 24 * 60 * 60 * 1000;
/** Notifications waiting to be sent; a further one is refused. */
export const QUEUE_MAX = 100;
/** Time between two notifications, in milliseconds. */
export const SPACING_MS = 5_000;
/** Push services asked at once, for one notification. */
export const DELIVERIES_MAX = 8;
/** Time for one push service to take a notification, in milliseconds. */
export const DELIVERY_MS_MAX = 30_000;
/** How long a push service keeps what it cannot deliver, in seconds. */
export const TTL_S = 28 * 24 * 60 * 60;
/** How long a token for a push service is valid, in seconds; a day at most (RFC 8292 §2). */
export const TOKEN_S = 12 * 60 * 60;
/** A push service's answer is not longer. */
export const ANSWER_BYTES_MAX = 64 * 1024;
