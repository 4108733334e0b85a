/**
 * What `market:compute:sys` is asked: by programs of this node and, where the operator allows it, of others, for jobs (compute-market.md
 * §13, kernel messages); by providers that have jobs of it; and by this package for money, verdicts and settings. A caller sees its own jobs
 * only: another's is `NotFound`.
 */
import { addressText, hashText } from '../../../contracts/compute-json.ts';
import { bool, list, option, record, text, u32, u64, union, unit } from '../../../wit/codec.ts';
import { computeMethods } from '../../lib/compute.ts';
import { contract, method } from '../../lib/contract.ts';
import { moneyEventMethods } from './facilitator-contract.ts';
import { jobEventMethods } from './job-events-contract.ts';
import { providerEventMethods } from './provider-events-contract.ts';
import { verdictEventMethods } from './oracle-contract.ts';

export const marketSettings = record({
  /** Whose jobs are free: the operator's and those of programs of this node, those of other nodes too, or everybody's. */
  free: union({ Owner: unit, Nodes: unit, Everybody: unit }),
});

export const marketContract = contract(
  {
    ...computeMethods,
    Providers: method(
      unit,
      list(
        record({
          node: text,
          nodeId: hashText,
          executor: option(addressText),
          paired: bool,
          slots: u32,
          free: u32,
          reputation: u32,
          seenAt: u64,
        }),
      ),
    ),
    /** Asks a node from now on what it offers. */
    AddProvider: method(record({ node: text }), unit),
    RemoveProvider: method(record({ node: text }), unit),
    Settings: method(unit, marketSettings),
    Configure: method(marketSettings, unit),
    ...providerEventMethods,
    ...jobEventMethods,
    ...moneyEventMethods,
    ...verdictEventMethods,
  },
  {
    access: {
      AddProvider: 'local',
      RemoveProvider: 'local',
      Settings: 'local',
      Configure: 'local',
      MoneyChanged: 'package',
      ProvidersChanged: 'package',
      VerdictGiven: 'package',
      RerunWanted: 'package',
    },
  },
);
