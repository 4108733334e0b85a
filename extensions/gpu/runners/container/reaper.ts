/**
 * Containers that nobody looks after: of an extension that was killed, or past their time (compute-market.md §9.2, CM12). Those of another
 * extension that lives are left alone until then.
 */
import type Docker from 'dockerode';
import { LABEL } from './create-options.ts';
import { statusOf, within } from './engine.ts';
import { isLive } from '../owner.ts';

export interface Reaping {
  readonly owner: string;
  /** Leases whose containers run under this instance's eyes. */
  readonly leases: ReadonlySet<string>;
  readonly nowS: number;
}

/** Removes them; how many. */
export async function reapContainers(docker: Docker, reaping: Reaping): Promise<number> {
  const found = await within('listing containers', () =>
    docker.listContainers({ all: true, filters: { label: [LABEL.job] } }),
  );
  const lost = found.filter(({ Labels }) => isLost(Labels, reaping));
  await Promise.all(lost.map(({ Id }) => remove(docker, Id)));
  return lost.length;
}

/** Whether a container with these labels is nobody's. */
export function isLost(
  labels: Readonly<Record<string, string>>,
  { owner, leases, nowS }: Reaping,
): boolean {
  const mine = labels[LABEL.owner] === owner;
  if (mine && leases.has(labels[LABEL.lease] ?? '')) return false;
  const killAt = Number(labels[LABEL.killAt]);
  if (!Number.isFinite(killAt) || nowS > killAt) return true;
  return mine || !isLive(labels[LABEL.owner] ?? '');
}

/** Kills and removes a container, with what it wrote besides its mounts. One that is gone is removed. */
export async function remove(docker: Docker, id: string): Promise<void> {
  try {
    await within('removing a container', () =>
      docker.getContainer(id).remove({ force: true, v: true }),
    );
  } catch (error) {
    // 404: gone. 409: the engine is at it.
    const status = statusOf(error);
    if (status !== 404 && status !== 409) throw error;
  }
}
