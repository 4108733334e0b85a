/**
 * The runtime modules of a node and what each needs, put together: the part of the composition that node.ts hands them to. A module is
 * made with its port and registered in one step; none knows another.
 */
import { join } from 'node:path';
import { systemClock } from '../kernel/clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { fdManager } from '../runtime-modules/fd-manager/index.ts';
import { readUlimit } from '../runtime-modules/fd-manager/ulimit.ts';
import type { HttpServerModule } from '../runtime-modules/http-server/index.ts';
import { httpClient } from '../runtime-modules/http-client/index.ts';
import type { Identity } from '../runtime-modules/identity/development.ts';
import type { Home } from '../runtime-modules/identity/home.ts';
import { kv } from '../runtime-modules/kv/index.ts';
import { notifications } from '../runtime-modules/notifications/index.ts';
import type { Accounts, Book } from '../runtime-modules/shared/accounts.ts';
import type { BackupParticipant } from '../runtime-modules/shared/backup.ts';
import { bytesOf } from '../runtime-modules/shared/bytes-of.ts';
import type { FileStreams } from '../runtime-modules/shared/file-streams.ts';
import { metered } from '../runtime-modules/shared/metered.ts';
import {
  type OutboundOptions,
  systemConnector,
} from '../runtime-modules/shared/outbound/system-connector.ts';
import { signer } from '../runtime-modules/signer/index.ts';
import { sqlite } from '../runtime-modules/sqlite/index.ts';
import { type OpenedStore, state } from '../runtime-modules/state/index.ts';
import { timer } from '../runtime-modules/timer/index.ts';
import { vfs } from '../runtime-modules/vfs/index.ts';
import { kvCharge, noRoom, sqliteCharge } from './charges.ts';

/** What the modules are told to do differently. */
export interface ModulesConfig {
  /** File descriptors to divide among the modules, instead of what the machine allows. */
  readonly softUlimit?: number | undefined;
  /** What guests reach through http-client, and how: allowed private hosts, proxies, certificate authorities. */
  readonly outbound?: OutboundOptions | undefined;
}

export interface ModuleParts {
  readonly store: OpenedStore['store'];
  readonly home: Home;
  readonly config: ModulesConfig;
  readonly accounts: Accounts;
  readonly web: HttpServerModule;
  /** What wallets are sealed under. */
  readonly identity: Pick<Identity, 'fileKey'>;
}

export interface Registered {
  /** What can be backed up while it runs. */
  readonly participants: readonly BackupParticipant[];
  /** Files of vfs, for the web server. */
  readonly files: FileStreams;
}

export function registerModules(
  kernel: Kernel,
  { store, home, config, accounts, web, identity }: ModuleParts,
): Registered {
  kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
  kernel.registerModule(
    state()({ store, backup: () => store.backup(), port: kernel.port('state') }),
  );
  kernel.registerModule(
    fdManager({ softUlimit: config.softUlimit })({
      port: kernel.port('fd-manager'),
      clock: systemClock,
      readUlimit,
    }),
  );
  const files = vfs({ root: join(home.path, 'vfs') })({ port: kernel.port('vfs'), accounts });
  kernel.registerModule(files);
  const bookOf = (folder: string): Book =>
    accounts.book((of) => bytesOf(join(home.path, folder, of)));
  const keyBook = bookOf('kv');
  const keys = kv({ root: join(home.path, 'kv') })({ port: kernel.port('kv'), budget: keyBook });
  kernel.registerModule(metered(keys, keyBook, kvCharge, noRoom));
  const tableBook = bookOf('sqlite');
  const tables = sqlite({ root: join(home.path, 'sqlite') })({
    port: kernel.port('sqlite'),
    clock: systemClock,
    budget: tableBook,
  });
  kernel.registerModule(metered(tables, tableBook, sqliteCharge, noRoom));
  kernel.registerModule(web);
  const connector = systemConnector(config.outbound ?? {}, systemClock);
  kernel.registerModule(
    httpClient()({ port: kernel.port('http-client'), clock: systemClock, connector }),
  );
  kernel.registerModule(
    notifications()({
      port: kernel.port('notifications'),
      clock: systemClock,
      wallMs: () => Date.now(),
      store,
      connector,
    }),
  );
  kernel.registerModule(
    signer({ folder: join(home.path, '.wallets') })({
      port: kernel.port('signer'),
      clock: systemClock,
      wallMs: () => Date.now(),
      fileKey: identity.fileKey,
      files: files.hashes,
    }),
  );
  return {
    participants: [files.backup, keys.backup, tables.backup],
    files: files.streams,
  };
}
