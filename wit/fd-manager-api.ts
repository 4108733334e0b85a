/** Bodies of `fd-manager:distro:sys` (runtime-modules.md §12, kernel.md §10). */
import { processId } from './codec-ids.ts';
import { dictionary, record, u64, union, unit, type Decoded } from './codec.ts';

/** What modules and operators send to it; `FdsLimit` is what it sends to registered modules. */
export const fdManagerRequest = union({
  RequestFdsLimit: unit,
  FdsLimitHit: unit,
  FdsLimit: u64,
  UpdateMaxFdsAsFractionOfUlimitPercentage: u64,
  UpdateUpdateUlimitSecs: u64,
  UpdateCullFractionDenominator: u64,
  GetState: unit,
  GetProcessFdLimit: processId,
});
export type FdManagerRequest = Decoded<typeof fdManagerRequest>;

export const fdManagerResponse = union({
  GetState: dictionary(record({ limit: u64, hit_count: u64 })),
  GetProcessFdLimit: u64,
});
export type FdManagerResponse = Decoded<typeof fdManagerResponse>;
