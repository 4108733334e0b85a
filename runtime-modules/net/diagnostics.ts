/** The text that `GetDiagnostics` answers (networking.md §11), with CRLF line ends as the reference has them. */
import type { NetIdentity } from '../../wit/net-api.ts';
import type { Links } from './links.ts';
import type { Passthroughs } from './passthrough.ts';
import type { Pki } from './pki.ts';
import type { Refusals } from './refusals.ts';

export interface DiagnosticsParts {
  readonly us: NetIdentity;
  readonly listening: readonly string[];
  readonly contract: string | undefined;
  readonly links: Links;
  readonly pki: Pki;
  readonly passthroughs: Passthroughs;
  readonly refusals: Refusals;
  readonly nowMs: number;
}

export function diagnosticsText(parts: DiagnosticsParts): string {
  const { us, links, passthroughs, pki, refusals, nowMs } = parts;
  const peers = links.all();
  const { waiting, active } = passthroughs.pairs();
  const relays = passthroughs.max === 0 ? [] : [`we allow ${passthroughs.max} passthroughs`];
  const pair = ({ source, target }: { source: string; target: string }): string =>
    `    ${source} -> ${target}`;
  const reasons = refusals.lines();
  return [
    `indexing from contract address ${parts.contract ?? 'none'}`,
    `our identity: ${us.name} ${us.networking_key} (${routingText(us)})`,
    ...(parts.listening.length > 0 ? [`listening: ${parts.listening.join(', ')}`] : []),
    `we have connections with ${peers.length} peers (${links.max} max):`,
    ...peers.map((peer) => {
      const identity = pki.identity(peer.name);
      const ways = peer.links
        .map(({ connection, session }) => connection.kind + (session.features.mux ? ' hl/1' : ''))
        .join(', ');
      const quietS = Math.floor((nowMs - peer.lastMessageMs) / 1000);
      const routing = identity === undefined ? 'unknown' : routingText(identity);
      return `    ${peer.name}, (${routing}) ${ways === '' ? 'connecting' : ways}, last message ${quietS}s ago`;
    }),
    ...relays,
    ...(waiting.length > 0 ? ['pending passthroughs:', ...waiting.map(pair)] : []),
    ...(active.length > 0 ? ['active passthroughs:', ...active.map(pair)] : []),
    `we have ${pki.size} entries in the PKI`,
    ...(reasons.length > 0
      ? ['refused or ended, by reason:', ...reasons.map((one) => `    ${one}`)]
      : []),
  ].join('\r\n');
}

function routingText({ routing }: NetIdentity): string {
  if (routing.kind === 'Routers') return `indirect, routers ${routing.value.join(' ') || 'none'}`;
  const ports = [...routing.value.ports].map(([name, port]) => `${name} ${port}`).join(' ');
  return `direct, ${routing.value.ip} ${ports}`;
}
