/**
 * Nodes on hosts of their own: network namespaces over real cables where we are root, and loopback over cables of our own anywhere. One is cut off
 * and killed meanwhile; it heals, and F28 holds (findings F27).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { ChatHost, type Stored } from '../support/chat-host.ts';
import { loopbackHosts, namespaceHosts } from '../support/hosts.ts';
import { whyNoNamespaces } from '../support/namespaces.ts';

const HOSTS = 3;
const TEST_MS_MAX = 120_000;

const reason = whyNoNamespaces();
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hyperloom-hosts-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.concurrent.each([
  {
    where: `in network namespaces${reason === undefined ? '' : ` (skipped: ${reason})`}`,
    open: (count: number) => namespaceHosts(count),
    skipped: reason !== undefined,
  },
  { where: 'over loopback and our own cables', open: loopbackHosts, skipped: false },
])('$where', ({ where, open, skipped }) => {
  test.skipIf(skipped)(
    'F27 F28 a node is cut off and killed: the others talk on, and all that was kept arrives once',
    async ({ expect }) => {
      await using hosts = await open(HOSTS);
      const folder = await mkdtemp(join(root, where.slice(0, 4).trim()));
      const start = (host: number): ChatHost => new ChatHost(hosts, host, folder);
      await using a = start(0);
      await using b = start(1);
      await using c = start(2);
      a.post(1, 'before');
      await a.until(1, 'before', 'Delivered');
      hosts.cut(1);
      a.post(1, 'into the cut');
      b.post(0, 'out of the cut');
      await a.until(1, 'into the cut', 'Sent');
      await b.until(0, 'out of the cut', 'Sent');
      // A partition of one is none of the others.
      a.post(2, 'elsewhere');
      c.post(0, 'elsewhere too');
      await a.until(2, 'elsewhere', 'Delivered');
      await c.until(0, 'elsewhere too', 'Delivered');
      await b[Symbol.asyncDispose]();
      await using again = start(1);
      await again.until(0, 'out of the cut', 'Sent');
      expect(a.with(1).map(({ delivery }) => delivery)).toEqual(['Delivered', 'Sent']);
      hosts.heal(1);
      await again.until(0, 'out of the cut', 'Delivered');
      await a.until(1, 'into the cut', 'Delivered');
      await again.until(0, 'into the cut', 'Received');
      const contents = (stored: readonly Stored[]): string[] =>
        stored.map(({ content }) => content).toSorted();
      const all = ['before', 'into the cut', 'out of the cut'];
      expect(contents(a.with(1))).toEqual(all);
      expect(contents(again.with(0))).toEqual(all);
    },
    TEST_MS_MAX,
  );
});
