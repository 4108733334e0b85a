/** `kit job`: the compute market from the command line (docs/jobs.md). */
import { defineCommand } from 'citty';

export const job = defineCommand({
  meta: {
    name: 'job',
    description:
      'Have something computed: submit jobs to a node, follow them, fetch what they made.',
  },
  subCommands: {
    submit: () => import('./job-submit.ts').then((module) => module.submit),
    status: () => import('./job-look.ts').then((module) => module.status),
    logs: () => import('./job-look.ts').then((module) => module.logs),
    result: () => import('./job-look.ts').then((module) => module.result),
    cancel: () => import('./job-look.ts').then((module) => module.cancel),
    dispute: () => import('./job-dispute.ts').then((module) => module.dispute),
    list: () => import('./job-look.ts').then((module) => module.list),
    withdraw: () => import('./job-look.ts').then((module) => module.withdraw),
    cost: () => import('./job-cost.ts').then((module) => module.cost),
  },
});
