/** Push notifications: this process stands between the browser and `notifications:distro:sys` (packages.md §14.2, runtime-modules.md §11). */
import { NoResponse, type Process, t } from '../../lib/index.ts';
import { json, type WebAnswer } from './web.ts';

const MODULE = 'notifications:distro:sys';
/** Seconds that the module may take; it is silent when it fails. */
export const NOTIFICATIONS_TIMEOUT_S = 3;

export const NOTIFICATION_PATHS = [
  '/api/notifications/vapid-key',
  '/api/notifications/subscribe',
  '/api/notifications/unsubscribe',
  '/api/notifications/subscription-info',
  '/api/notifications/unsubscribe-all',
  '/api/notifications/test-vapid',
] as const;
export type NotificationPath = (typeof NOTIFICATION_PATHS)[number];

const subscription = t.record({
  endpoint: t.text,
  keys: t.record({ p256dh: t.text, auth: t.text }),
  created_at: t.u64,
});
const endpoint = t.record({ endpoint: t.text });

/** Whether a path only asks, so that GET reaches it. */
export function onlyAsks(path: NotificationPath): boolean {
  return path === '/api/notifications/vapid-key' || path === '/api/notifications/test-vapid';
}

/** Answers with what the module said; 500 and a sentence when it refused, is silent, or is not part of this node. */
export async function notifications(
  process: Process<unknown>,
  path: NotificationPath,
  body: Uint8Array,
): Promise<WebAnswer> {
  const ask = async (action: unknown): Promise<Record<string, unknown>> => {
    const text = JSON.stringify(action);
    const reply = await process.request(MODULE, text, { timeoutS: NOTIFICATIONS_TIMEOUT_S });
    const said: unknown = JSON.parse(new TextDecoder().decode(reply.body));
    return typeof said === 'string' ? { [said]: true } : (said as Record<string, unknown>);
  };
  try {
    return await perform(path, body, ask);
  } catch (error) {
    if (!(error instanceof NoResponse)) throw error;
    return json(500, { error: 'this node does not send notifications' });
  }
}

async function perform(
  path: NotificationPath,
  body: Uint8Array,
  ask: (action: unknown) => Promise<Record<string, unknown>>,
): Promise<WebAnswer> {
  switch (path) {
    case '/api/notifications/vapid-key':
      return keyAnswer(await ask('GetPublicKey'), (publicKey) => ({ publicKey }));
    case '/api/notifications/test-vapid':
      return keyAnswer(await ask('GetPublicKey'), (publicKey) => ({
        publicKey,
        keyLength: publicKey.length,
        note: 'The public key with which this node signs its notifications, in base64url.',
      }));
    case '/api/notifications/subscribe': {
      const decoded = subscription.decode(body);
      if (!decoded.ok) return badBody(decoded.error);
      const { created_at, ...rest } = decoded.value;
      const added = { ...rest, created_at: Number(created_at) };
      return done(await ask({ AddSubscription: { subscription: added } }), 'SubscriptionAdded');
    }
    case '/api/notifications/unsubscribe-all':
      return done(await ask('ClearSubscriptions'), 'SubscriptionsCleared');
    case '/api/notifications/unsubscribe':
    case '/api/notifications/subscription-info': {
      const decoded = endpoint.decode(body);
      if (!decoded.ok) return badBody(decoded.error);
      if (path === '/api/notifications/unsubscribe') {
        return done(await ask({ RemoveSubscription: decoded.value }), 'SubscriptionRemoved');
      }
      const said = await ask({ GetSubscription: decoded.value });
      return 'SubscriptionInfo' in said ? json(200, said['SubscriptionInfo']) : refused(said);
    }
  }
}

function keyAnswer(said: Record<string, unknown>, show: (publicKey: string) => unknown): WebAnswer {
  const key = said['PublicKey'];
  return typeof key === 'string' ? json(200, show(key)) : refused(said);
}

function done(said: Record<string, unknown>, expected: string): WebAnswer {
  return expected in said ? json(200, { success: true }) : refused(said);
}

function refused(said: Record<string, unknown>): WebAnswer {
  return json(500, { error: JSON.stringify(said['Err'] ?? said) });
}

function badBody({ path, expected }: { path: string; expected: string }): WebAnswer {
  return json(500, { error: `${path || 'body'}: expected ${expected}` });
}
