/** `kit provider`: a provider's place on the chain, which paid jobs need, its stake, and what it earned (docs/jobs.md). */
import { defineCommand } from 'citty';

export const provider = defineCommand({
  meta: { name: 'provider', description: 'What a provider of computation has on the chain.' },
  subCommands: {
    register: () => import('./provider-register.ts').then((module) => module.register),
    status: () => import('./provider-money.ts').then((module) => module.status),
    withdraw: () => import('./provider-money.ts').then((module) => module.withdraw),
    stake: () => import('./provider-money.ts').then((module) => module.stake),
    unstake: () => import('./provider-money.ts').then((module) => module.unstake),
  },
});
