/**
 * `state:distro:sys` (kernel.md §6): bytes by process id, for the system's own packages. Ordinary processes reach their state through
 * host functions, which use the same store. A source that is not trusted gets no answer.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import type { KernelStore } from '../../kernel/store.ts';
import { packageOf } from '../../wit/address.ts';
import {
  stateRequest,
  stateResponse,
  type StateError,
  type StateRequest,
} from '../../wit/state-api.ts';
import type { LazyLoadBlob, Result } from '../../wit/types.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';

export { openLevelStore, StoreError, type DamageNotice, type OpenedStore } from './level-store.ts';

/** A body holds one process id. */
const BODY_BYTES_MAX = 64 * 1024;
/** Only these packages are served (kernel.md §6). */
const TRUSTED: readonly string[] = ['distro:sys', 'terminal:sys'];

export interface StateNeeds {
  readonly store: Pick<KernelStore, 'readState' | 'commit'>;
  /** Replaces `<home>/kernel/backup`; absent for a store that is not on disk, where Backup is refused. */
  readonly backup?: (() => Promise<void>) | undefined;
  readonly port: Pick<KernelPort, 'print'>;
}

export interface StateWork {
  readonly request: StateRequest;
  readonly blob: LazyLoadBlob | undefined;
}

export const state =
  () =>
  (needs: StateNeeds): RuntimeModule<StateWork> =>
    new State(needs);

class State implements RuntimeModule<StateWork> {
  readonly name = 'state';
  readonly public = false;
  readonly #needs: StateNeeds;

  constructor(needs: StateNeeds) {
    this.#needs = needs;
  }

  decode(request: ModuleRequest): Result<StateWork, Answer | undefined> {
    const { process } = request.source;
    if (!request.local || !TRUSTED.includes(packageOf(process))) {
      this.#needs.port.print(1, `state: ignored a request of ${request.source.node}@${process}`);
      return { ok: false, error: undefined };
    }
    const body = decodeBody(stateRequest, request.body, BODY_BYTES_MAX);
    if (!body.ok) return refusal({ kind: 'BadJson', value: { error: body.error } });
    if (body.value.kind === 'SetState' && request.blob === undefined)
      return refusal({ kind: 'BadBytes', value: { action: 'SetState' } });
    return { ok: true, value: { request: body.value, blob: request.blob } };
  }

  /** One key's requests run in order, whoever sends them. */
  orderKey(work: StateWork): string {
    return work.request.value ?? '';
  }

  async handle(work: StateWork): Promise<Answer> {
    const { request } = work;
    try {
      return await this.#perform(work);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const action = request.kind === 'Backup' ? 'BackupCheckpointCreate' : request.kind;
      return refusal({ kind: 'RocksDBError', value: { action, error: text } }).error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    // The store belongs to the node.
    return Promise.resolve();
  }

  async #perform({ request, blob }: StateWork): Promise<Answer> {
    const { store, backup } = this.#needs;
    switch (request.kind) {
      case 'GetState': {
        const bytes = await store.readState(request.value);
        if (bytes === undefined)
          return refusal({ kind: 'NotFound', value: { process_id: request.value } }).error;
        const body = stateResponse.encode({ kind: 'GetState' });
        return { body, blob: { mime: 'application/octet-stream', bytes } };
      }
      case 'SetState':
        await store.commit([
          { kind: 'put-state', id: request.value, bytes: blob?.bytes ?? new Uint8Array() },
        ]);
        return { body: stateResponse.encode({ kind: 'SetState' }) };
      case 'DeleteState':
        await store.commit([{ kind: 'delete-state', id: request.value }]);
        return { body: stateResponse.encode({ kind: 'DeleteState' }) };
      default:
        if (backup === undefined)
          return refusal({ kind: 'IOError', value: { error: 'this node keeps nothing on disk' } })
            .error;
        await backup();
        return { body: stateResponse.encode({ kind: 'Backup' }) };
    }
  }
}

function refusal(error: StateError): { readonly ok: false; readonly error: Answer } {
  return {
    ok: false,
    error: refuse(stateResponse.encode({ kind: 'Err', value: error }), 'always'),
  };
}
