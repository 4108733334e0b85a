/**
 * To which hosts a process is limited, by the capabilities of ours that it holds (docs/http-client.md). Params `{"hosts":[...]}` name
 * hosts; a process that holds one or more reaches only what one of them names, a process that holds none is not limited. Pure.
 */
import { isJsonObject, parseJson } from '../../wit/json.ts';
import type { Capability } from '../../wit/types.ts';
import type { Field } from '../shared/outbound/exchange.ts';
import {
  hostPortOf,
  meansHost,
  parseHostPattern,
  type HostPattern,
  type HostPort,
} from '../shared/outbound/host-pattern.ts';

/** Undefined: not limited. */
export type Scope = readonly HostPattern[] | undefined;

/** Whether a capability of ours limits its holder. Every object does: what is not understood must not be read as freedom. */
export function isLimit({ params }: Capability): boolean {
  return isJsonObject(parseJson(params));
}

/** @param held what the process holds of this module's capabilities */
export function scopeOf(held: readonly Capability[]): Scope {
  const limits = held.filter(isLimit);
  return limits.length === 0 ? undefined : limits.flatMap(hostsOf);
}

/** Why a host is not within the scope; undefined when it is. */
export function outside(scope: Scope, target: HostPort): string | undefined {
  if (scope === undefined || scope.some((pattern) => meansHost(pattern, target))) return undefined;
  const hosts = scope.map(({ text }) => text).join(', ');
  return (
    `${target.host}:${target.port} is not among the hosts this process is limited to ` +
    `(${hosts === '' ? 'none' : hosts}); its package's manifest lists them`
  );
}

/** Whether a field is the name of another host: a process must not reach that one through the servers of those it is limited to. */
export function isForeignHost([name, value]: Field, scope: Scope): boolean {
  if (scope === undefined || name.toLowerCase() !== 'host') return false;
  const url = URL.parse(`http://${value}`);
  if (url === null) return true;
  const { host, port } = hostPortOf(url);
  return ![port, 443].some((each) => outside(scope, { host, port: each }) === undefined);
}

function hostsOf({ params }: Capability): readonly HostPattern[] {
  const tree = parseJson(params);
  const hosts = isJsonObject(tree) && Object.hasOwn(tree, 'hosts') ? tree['hosts'] : undefined;
  if (!Array.isArray(hosts)) return [];
  return hosts.flatMap((host: unknown) => {
    const pattern = typeof host === 'string' ? parseHostPattern(host) : undefined;
    return pattern?.ok === true ? [pattern.value] : [];
  });
}
