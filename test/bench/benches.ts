/** Every bench there is, in the order of the table. */
import { roundtrips } from './roundtrip.ts';
import type { Bench } from './row.ts';

export const benches: readonly Bench[] = [...roundtrips];
