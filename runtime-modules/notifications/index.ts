/**
 * `notifications:distro:sys` (runtime-modules.md §11): web push to the owner's browsers. Keys and subscriptions are kept, each in a row of
 * its own (H22); what cannot be done is answered with its reason.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import type { KernelStore } from '../../kernel/store.ts';
import { moduleId } from '../../wit/address.ts';
import { formatJson } from '../../wit/json.ts';
import {
  notificationsRequest,
  notificationsResponse,
  type NotificationsError,
  type NotificationsRequest,
  type NotificationsResponse,
} from '../../wit/notifications-api.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { ConnectionPool } from '../shared/outbound/connection-pool.ts';
import type { Connector } from '../shared/outbound/connector.ts';
import { decodeBody } from '../shared/refuse.ts';
import { Deliveries } from './deliveries.ts';
import { BODY_BYTES_MAX, PAYLOAD_BYTES_MAX, QUEUE_MAX } from './limits.ts';
import { Subscriptions, type Row } from './subscriptions.ts';
import { VapidKeys } from './vapid.ts';

/** Rows of the store. The reference writes both values under the first. */
const KEYS_ROW = moduleId('notifications');
const SUBSCRIPTIONS_ROW = moduleId('notifications-subscriptions');

export interface NotificationsNeeds {
  readonly port: Pick<KernelPort, 'print'>;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly store: Pick<KernelStore, 'readState' | 'commit'>;
  readonly connector: Connector;
}

export const notifications =
  () =>
  (needs: NotificationsNeeds): RuntimeModule<NotificationsRequest> =>
    new Notifications(needs);

class Notifications implements RuntimeModule<NotificationsRequest> {
  readonly name = 'notifications';
  readonly public = false;
  readonly #needs: NotificationsNeeds;
  readonly #pool: ConnectionPool;
  readonly #keysRow: Row;
  readonly #subscriptions: Subscriptions;
  readonly #deliveries: Deliveries;
  #keys: VapidKeys | undefined;

  constructor(needs: NotificationsNeeds) {
    this.#needs = needs;
    this.#pool = new ConnectionPool(needs.connector);
    this.#keysRow = rowOf(needs.store, KEYS_ROW);
    this.#subscriptions = new Subscriptions(rowOf(needs.store, SUBSCRIPTIONS_ROW));
    this.#deliveries = new Deliveries({
      ...needs,
      pool: this.#pool,
      subscriptions: this.#subscriptions,
      keys: () => this.#keys,
    });
  }

  decode(request: ModuleRequest): Result<NotificationsRequest, Answer | undefined> {
    const { source, local } = request;
    if (!local) {
      this.#needs.port.print(
        2,
        `notifications: ignored a request of ${source.node}@${source.process}`,
      );
      return { ok: false, error: undefined };
    }
    const body = decodeBody(notificationsRequest, request.body, BODY_BYTES_MAX);
    return body.ok ? body : { ok: false, error: failed('BadJson', body.error) };
  }

  /** All in one line: they share keys and subscriptions, and none takes long. */
  orderKey(): string {
    return '';
  }

  async handle(request: NotificationsRequest): Promise<Answer> {
    try {
      return await this.#perform(request);
    } catch (error) {
      return failed('StateError', error instanceof Error ? error.message : String(error));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#deliveries.close();
    this.#pool.destroy();
  }

  async #perform(request: NotificationsRequest): Promise<Answer> {
    switch (request.kind) {
      case 'GetPublicKey': {
        const { publicKey } = (await this.#readKeys()) ?? (await this.#makeKeys());
        return answer({ kind: 'PublicKey', value: publicKey });
      }
      case 'InitializeKeys':
        await this.#makeKeys();
        return done('KeysInitialized');
      case 'AddSubscription': {
        const { subscription } = request.value;
        const added = await this.#subscriptions.add(subscription, this.#needs.wallMs());
        return added.ok ? done('SubscriptionAdded') : failed('BadRequest', added.error);
      }
      case 'RemoveSubscription':
        await this.#subscriptions.remove(request.value.endpoint);
        return done('SubscriptionRemoved');
      case 'ClearSubscriptions':
        await this.#subscriptions.clear();
        return done('SubscriptionsCleared');
      case 'GetSubscription': {
        const all = await this.#subscriptions.all();
        const found = all.find(({ endpoint }) => endpoint === request.value.endpoint);
        return answer({ kind: 'SubscriptionInfo', value: found });
      }
      case 'SendNotification':
        return this.#send(request.value);
    }
  }

  async #send(
    value: Extract<NotificationsRequest, { kind: 'SendNotification' }>['value'],
  ): Promise<Answer> {
    if ((await this.#readKeys()) === undefined)
      return answer({ kind: 'Err', value: { kind: 'KeysNotInitialized', value: undefined } });
    if ((await this.#subscriptions.all()).length === 0)
      return failed('SendError', 'no browser is subscribed');
    const { title, body, icon = null, data = null } = value;
    const payload = Buffer.from(formatJson({ title, body, icon, data }));
    if (payload.length > PAYLOAD_BYTES_MAX) {
      const text = `the notification is ${payload.length} bytes, push services take ${PAYLOAD_BYTES_MAX}`;
      return failed('BadRequest', text);
    }
    if (!this.#deliveries.enqueue(payload))
      return failed('SendError', `${QUEUE_MAX} notifications are waiting to be sent`);
    return done('NotificationSent');
  }

  /** Rejects when there are some that cannot be read: they are not replaced unasked. */
  async #readKeys(): Promise<VapidKeys | undefined> {
    if (this.#keys !== undefined) return this.#keys;
    const bytes = await this.#keysRow.read();
    if (bytes === undefined) return undefined;
    const read = VapidKeys.read(bytes);
    if (!read.ok) throw new Error(`${read.error}; InitializeKeys makes new ones`);
    return (this.#keys = read.value);
  }

  async #makeKeys(): Promise<VapidKeys> {
    const keys = VapidKeys.generate();
    await this.#keysRow.write(keys.stored());
    return (this.#keys = keys);
  }
}

function rowOf(store: NotificationsNeeds['store'], id: ProcessId): Row {
  return {
    read: () => store.readState(id),
    write: (bytes) => store.commit([{ kind: 'put-state', id, bytes }]),
  };
}

function done(
  kind: Exclude<NotificationsResponse['kind'], 'PublicKey' | 'SubscriptionInfo' | 'Err'>,
): Answer {
  return answer({ kind, value: undefined });
}

function failed(
  kind: Exclude<NotificationsError['kind'], 'KeysNotInitialized' | 'Unauthorized'>,
  error: string,
): Answer {
  return answer({ kind: 'Err', value: { kind, value: { error } } });
}

function answer(response: NotificationsResponse): Answer {
  return { body: notificationsResponse.encode(response), send: 'if-wanted', echoMetadata: false };
}
