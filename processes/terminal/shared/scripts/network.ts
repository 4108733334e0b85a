/** The shipped scripts that ask net (runtime-modules.md §10.4). Arguments in, result text out. */
import {
  decodeNetResponse,
  encodeNetAction,
  type NetAction,
  type NetIdentity,
  type NetResponse,
} from '../../../../wit/net-api.ts';
import type { ProcessId } from '../../../../wit/types.ts';
import { tokens } from '../command-line.ts';
import type { Guest } from '../guest.ts';
import { table } from '../table.ts';
import { usage } from './usage.ts';

const PEERS_TIMEOUT_S = 10;
const DIAGNOSTICS_TIMEOUT_S = 60;
const SILENT = 'the net module did not answer';

/** No arguments. */
export function peers(guest: Guest, args: string): string {
  if (args.trim() !== '') return usage('peers');
  const answer = ask(guest, { kind: 'GetPeers' }, PEERS_TIMEOUT_S);
  if (answer?.kind !== 'Peers') return SILENT;
  if (answer.value.length === 0) return 'no peers';
  return table([['node', 'how it is reached', 'networking key'], ...answer.value.map(row)]);
}

/** `<node>`. */
export function peer(guest: Guest, args: string): string {
  const [name, ...rest] = tokens(args);
  if (name === undefined || rest.length > 0) return usage('peer');
  const node = name === 'our' ? guest.our.node : name;
  const answer = ask(guest, { kind: 'GetPeer', value: node }, PEERS_TIMEOUT_S);
  if (answer?.kind !== 'Peer') return SILENT;
  return answer.value === undefined
    ? `no node called ${node} is known`
    : table([row(answer.value)]);
}

/** No arguments. */
export function netDiagnostics(guest: Guest, args: string): string {
  if (args.trim() !== '') return usage('net-diagnostics');
  const answer = ask(guest, { kind: 'GetDiagnostics' }, DIAGNOSTICS_TIMEOUT_S);
  return answer?.kind === 'Diagnostics' ? answer.value.replaceAll('\r\n', '\n') : SILENT;
}

function ask(guest: Guest, action: NetAction, timeoutS: number): NetResponse | undefined {
  const target = { node: guest.our.node, process: 'net:distro:sys' as ProcessId };
  const reply = guest.ask(target, encodeNetAction(action), { timeoutS });
  return reply.kind === 'response' ? decodeNetResponse(reply.body) : undefined;
}

function row({ name, networking_key, routing }: NetIdentity): string[] {
  if (routing.kind === 'Routers')
    return [name, `through ${routing.value.join(', ') || 'nobody'}`, networking_key];
  const { ip, ports } = routing.value;
  // Port 0 stands for one that is not offered (networking.md §1).
  const open = [...ports].filter(([, port]) => port !== 0);
  const offered = open.map(([kind, port]) => `${kind} ${port}`).join(', ');
  return [name, `${ip}, ${offered || 'no ports'}`, networking_key];
}
