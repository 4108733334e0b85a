/** What the kernel says about a process to those who may ask (kernel.md §4, Debug; `Usage` is our extension). */
import type { PackageUsage, ProcessDescription, ProcessUsage } from '../wit/kernel-api.ts';
import type { Party } from './process-table.ts';

/** What a process uses that is not in it. */
export interface OutsideUse {
  readonly queuedOperations: number;
  readonly package: PackageUsage | undefined;
}

/** Runtime modules are described as the reference does: no wasm, version 1, on-exit restart (K109). */
export function describeProcess(party: Party): ProcessDescription {
  const capabilities = [...party.held.values()];
  if (party.kind !== 'process') {
    return {
      wasmBytesHandle: '',
      witVersion: 1,
      onExit: { kind: 'restart' },
      capabilities,
      public: party.public,
    };
  }
  const { wasmBytesHandle, witVersion, onExit, public: isPublic } = party;
  return { wasmBytesHandle, witVersion, onExit, capabilities, public: isPublic };
}

/** `nowMs` is of the clock that stamped the process's start; `outside`: what is kept outside of it, for a process only. */
export function describeUsage(party: Party, nowMs: number, outside: OutsideUse): ProcessUsage {
  const base = {
    fuel: 0,
    cpuMs: 0,
    memoryBytes: 0,
    messagesReceived: 0,
    messagesSent: 0,
    mailbox: 0,
    mailboxBytes: 0,
    capabilities: party.held.size,
    uptimeMs: 0,
    restarts: 0,
  };
  if (party.kind === 'kernel') return { ...base, state: 'kernel' };
  if (party.kind === 'module') return { ...base, state: 'module', mailbox: party.queue.jobs };
  const usage = party.guest?.usage() ?? { fuel: 0, cpuMs: 0, memoryBytes: 0 };
  const { mailbox } = party.host;
  return {
    ...base,
    state: party.state,
    fuel: party.pastFuel + usage.fuel,
    cpuMs: party.pastCpuMs + usage.cpuMs,
    memoryBytes: usage.memoryBytes,
    messagesReceived: party.received,
    messagesSent: party.sent,
    mailbox: mailbox.size,
    mailboxBytes: mailbox.bytes,
    uptimeMs: party.state === 'running' ? nowMs - party.startedAtMs : 0,
    restarts: party.restarts,
    lastEnd: party.lastEnd,
    queuedOperations: outside.queuedOperations,
    ...(outside.package === undefined ? {} : { package: outside.package }),
  };
}
