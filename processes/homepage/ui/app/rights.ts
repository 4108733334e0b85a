/** What the kernel says of one process (`{"Debug":{"Process":…}}`), for people. */

export interface Description {
  readonly isPublic: boolean;
  /** What happens when it ends. */
  readonly onExit: string;
  readonly capabilities: readonly { readonly issuer: string; readonly params: string }[];
}

/** Rights that one process issued. */
export interface CapabilityGroup {
  /** Without the node when it is this one. */
  readonly issuer: string;
  readonly params: readonly string[];
}

interface Right {
  readonly issuer: string;
  readonly params: string;
}

interface Wire {
  readonly on_exit: unknown;
  readonly public: boolean;
  /** Bare, or paired with signatures, as the reference writes them inside of messages. */
  readonly capabilities: readonly (Right | readonly [Right, unknown])[];
}

/** Undefined for a process that the kernel does not know. @throws Error for what is no answer of the kernel */
export function descriptionIn(answer: unknown): Description | undefined {
  const debug = (answer as { Debug?: { Process?: Wire | null } } | null)?.Debug;
  if (debug?.Process === null) return undefined;
  const wire = debug?.Process;
  if (!Array.isArray(wire?.capabilities))
    throw new Error('the node says nothing about the process');
  return {
    isPublic: wire.public,
    onExit: onExitOf(wire.on_exit),
    capabilities: wire.capabilities.map((one) => ('issuer' in one ? one : one[0])),
  };
}

/** By issuer; the right to message it reads as `messaging`. */
export function capabilityGroups({ capabilities }: Description): CapabilityGroup[] {
  const groups = new Map<string, Set<string>>();
  for (const { issuer, params } of capabilities) {
    const group = groups.get(issuer) ?? new Set();
    groups.set(issuer, group.add(plain(params)));
  }
  return [...groups]
    .map(([issuer, params]) => ({
      issuer: issuer.replace(/^[^@]*@/, ''),
      params: [...params].toSorted(),
    }))
    .toSorted((a, b) => (a.issuer < b.issuer ? -1 : 1));
}

function onExitOf(onExit: unknown): string {
  if (onExit === 'Restart') return 'it is started again';
  if (onExit === 'None') return 'nothing happens';
  return 'it sends messages';
}

/** `"messaging"` without its quotes; other parameters as they are. */
function plain(params: string): string {
  return /^"[^"\\]*"$/.test(params) ? params.slice(1, -1) : params;
}
