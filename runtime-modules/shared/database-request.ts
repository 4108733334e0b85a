/** Body and authority of a request for a database, as kv and sqlite decide them alike (runtime-modules.md §3, §4). No I/O. */
import type { ModuleRequest } from '../../kernel/module.ts';
import { packageOf } from '../../wit/address.ts';
import type { Codec } from '../../wit/codec.ts';
import type { PackageId, Result } from '../../wit/types.ts';
import type {
  DatabaseAccess,
  DatabaseFolder,
  DatabasePlace,
  DatabasePlaces,
} from './database-place.ts';
import { ioFailure } from './io-error.ts';
import { decodeBody } from './refuse.ts';

/**
 * What an action asks of whoever sends it: a capability; to be of the database's package (`owner`); or that, and to be a process that
 * can be given capabilities (`open`).
 */
export type DatabaseNeed = DatabaseAccess | 'owner' | 'open';

/** The errors that both modules spell alike. */
export type DatabaseRefusal =
  | {
      readonly kind:
        | 'MalformedRequest'
        | 'MismatchingPackageId'
        | 'NoReadCap'
        | 'NoWriteCap'
        | 'AddCapFailed';
    }
  | { readonly kind: 'IOError'; readonly value: string };

export interface DatabaseRequest<Action> extends DatabaseFolder {
  readonly db: string;
  readonly place: DatabasePlace;
  readonly action: Action;
}

export interface DatabaseRules<Action extends { readonly kind: string }> {
  readonly schema: Codec<{
    readonly package_id: PackageId;
    readonly db: string;
    readonly action: Action;
  }>;
  readonly bodyBytesMax: number;
  readonly places: DatabasePlaces;
  readonly needs: Readonly<Record<Action['kind'], DatabaseNeed>>;
}

/** The request, or why it may not be made; `detail` is for whoever looks for the reason. */
export function admit<Action extends { readonly kind: string }>(
  { schema, bodyBytesMax, places, needs }: DatabaseRules<Action>,
  request: ModuleRequest,
): Result<
  DatabaseRequest<Action>,
  { readonly refusal: DatabaseRefusal; readonly detail?: string }
> {
  const body = decodeBody(schema, request.body, bodyBytesMax);
  if (!body.ok) return refused({ kind: 'MalformedRequest' }, body.error);
  const { package_id: pkg, db, action } = body.value;
  const place = places.of(pkg, db);
  if (place === undefined) {
    return refused({ kind: 'MalformedRequest' }, 'the name is not one part of a path');
  }
  // Proof of the type: `Action['kind']` is what an action's kind is.
  const kind = action.kind as Action['kind'];
  const refusal = authorityRefusal(request, needs[kind], pkg, place);
  if (refusal !== undefined) return refused(refusal);
  const { folder } = place;
  if (folder === undefined) {
    return refused({ kind: 'IOError', value: ioFailure('ENAMETOOLONG').message });
  }
  return { ok: true, value: { package: pkg, db, place, folder, action } };
}

function authorityRefusal(
  { source, caller }: ModuleRequest,
  need: DatabaseNeed,
  pkg: PackageId,
  place: DatabasePlace,
): DatabaseRefusal | undefined {
  if (need === 'owner' || need === 'open') {
    if (packageOf(source.process) !== pkg) return { kind: 'MismatchingPackageId' };
    return need === 'owner' || caller.exists ? undefined : { kind: 'AddCapFailed' };
  }
  if (caller.holds(place[need])) return undefined;
  return { kind: need === 'read' ? 'NoReadCap' : 'NoWriteCap' };
}

function refused(
  refusal: DatabaseRefusal,
  detail?: string,
): {
  readonly ok: false;
  readonly error: { readonly refusal: DatabaseRefusal; readonly detail?: string };
} {
  return { ok: false, error: detail === undefined ? { refusal } : { refusal, detail } };
}
