/** Providers that the registry tells of, and how soon the market knows them. */
import { expect, it } from 'vitest';
import { namehash } from '../../../contracts/hypermap.ts';
import { useMoneyWorld } from './testing/money-world.ts';

const money = useMoneyWorld();

/** What the market knows of a node: `online`, `offline`, or nothing. */
async function statusOf(node: string): Promise<string | undefined> {
  const { json } = await money.world.ask('GET', '/api/nodes');
  const found = json.nodes.find((one: { node: string }) => one.node === node);
  return found?.status as string | undefined;
}

it('F47 a provider that registers is asked at once, and may be paid', async () => {
  money.world.gpu('other.os');
  expect(await statusOf('other.os')).toBeUndefined();
  await money.told('facilitator', 'ProvidersChanged', [money.providerOf('other.os')]);
  expect(await statusOf('other.os')).toBe('online');
  const { json } = await money.world.ask('GET', `/api/nodes/${namehash('other.os')}`);
  expect(json.registry).toMatchObject({ stake: '1000000000', on: true });
  // One that is there already may have changed its mind.
  await money.told('facilitator', 'ProvidersChanged', [
    money.providerOf('other.os', { on: false }),
  ]);
  const after = await money.world.ask('GET', `/api/nodes/${namehash('other.os')}`);
  expect(after.json.registry).toMatchObject({ on: false });
  // Without a stake, or under a name that is not of that id, nobody is met.
  const third = money.providerOf('third.os', { slots: 0 });
  const false_ = money.providerOf('fourth.os', { nodeId: namehash('fifth.os') });
  await money.told('facilitator', 'ProvidersChanged', [third, false_]);
  expect(await statusOf('third.os')).toBeUndefined();
  expect((await money.world.ask('GET', `/api/nodes/${namehash('fifth.os')}`)).status).toBe(404);
});

it('F47 a name that the namespace learns a moment later is looked for within seconds, for a minute', async () => {
  money.world.gpu('other.os');
  money.registered.push(money.providerOf('other.os', { name: undefined }));
  await money.told('facilitator', 'ProvidersChanged', money.registered.slice(1));
  expect(await statusOf('other.os')).toBeUndefined();
  money.registered[1] = money.providerOf('other.os');
  await money.world.advance(6);
  expect(await statusOf('other.os')).toBe('online');
});

it('F47 a provider of another node that is known is asked when it says that it has changed', async () => {
  const other = money.world.gpu('other.os');
  other.paired = false;
  // What says so and is nobody's provider is not asked.
  await money.world.tell(other, 'ProviderChanged', undefined);
  expect(await statusOf('other.os')).toBeUndefined();
  await money.told('facilitator', 'ProvidersChanged', [money.providerOf('other.os')]);
  expect(await statusOf('other.os')).toBe('offline');
  other.paired = true;
  await money.world.tell(other, 'ProviderChanged', undefined);
  expect(await statusOf('other.os')).toBe('online');
});
