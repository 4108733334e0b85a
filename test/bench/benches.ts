/** Every bench there is, in the order of the table. */
import { boots } from './boot.ts';
import { chains } from './chain.ts';
import { computeJobs } from './compute-jobs.ts';
import { computePaid } from './compute-paid.ts';
import { computes } from './compute.ts';
import { decoding } from './chain-decode.ts';
import { densities } from './density.ts';
import { fuels } from './fuel.ts';
import { harts } from './harts.ts';
import { https } from './http.ts';
import { libDeliveries } from './lib-delivery.ts';
import { markets } from './market.ts';
import { nets } from './net.ts';
import { runnerCosts } from './compute-runners.ts';
import { preempts } from './preempt.ts';
import { roundtrips } from './roundtrip.ts';
import type { Bench } from './row.ts';
import { spawns } from './spawn.ts';
import { storage } from './storage.ts';
import { vfsFiles } from './vfs.ts';
import { webSockets } from './ws.ts';

export const benches: readonly Bench[] = [
  ...roundtrips,
  ...libDeliveries,
  ...spawns,
  ...densities,
  ...preempts,
  ...fuels,
  ...harts,
  ...runnerCosts,
  ...boots,
  ...storage,
  ...vfsFiles,
  ...chains,
  ...decoding,
  ...webSockets,
  ...https,
  ...nets,
  ...computes,
  ...computeJobs,
  ...computePaid,
  ...markets,
];
