import { readFile, stat } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { capabilityKey } from '../../wit/json.ts';
import { processId } from '../../wit/address.ts';
import {
  capability,
  err,
  KERNEL_ID,
  NOT_FOUND,
  OWNER,
  READ_D,
  ROOT,
  SIBLING,
  STRANGER,
  VfsBench,
  WRITE_D,
  type WireAction,
} from './bench.testing.ts';

let vfs: VfsBench;
beforeEach(async () => {
  vfs = await VfsBench.make();
  await vfs.write('/p:q/d/f', 'content');
});
afterEach(() => vfs[Symbol.asyncDispose]());

const as = (from: string, ...capabilities: (typeof READ_D)[]) => ({ from, capabilities });

test('M1 unknown fields are ignored, a struct may be an array', async () => {
  const body = '{"x":1,"path":"/p:q/d/f","action":{"OpenFile":{"create":false,"y":[]}}}';
  expect((await vfs.ask({ from: OWNER, body }))?.body).toBe('Ok');
  expect((await vfs.ask({ from: OWNER, body: '["/p:q/d/f",{"Read":null}]' }))?.body).toBe('Read');
});

test('M2 M17 an unparsable body is MalformedRequest', async () => {
  const bodies = [
    '{"path":"/p:q/d/f","action":"Read"}x',
    '',
    'null',
    '{"path":"/p:q/d/f"}',
    '{"path":"/p:q/d/f","action":"Fly"}',
    '{"path":"/p:q/d/f","action":{"ReadExact":{"length":1.0}}}',
    '{"path":"/p:q/d/f","path":"/p:q/d/f","action":"Read"}',
    new Uint8Array([0xff, 0xfe]),
    ' '.repeat(300_000),
  ];
  for (const body of bodies)
    expect((await vfs.ask({ from: OWNER, body }))?.body).toEqual(err('MalformedRequest'));
});

test('M5 M9 success goes to rsvp, else to whoever expects it, else nowhere', async () => {
  const rsvp = { node: 'alice.os', process: processId('a:b:c') };
  const reply = await vfs.send('/p:q/d/f', 'Read', { rsvp, expectsResponse: false });
  expect(reply?.to).toEqual(rsvp);
  expect(await vfs.send('/p:q/d/f', 'Read', { expectsResponse: false })).toBeUndefined();
});

test('M6 a request from another node gets no answer', async () => {
  expect(await vfs.send('/p:q/d/f', 'Read', { from: `bob.os@${OWNER}` })).toBeUndefined();
  expect(vfs.port.prints.map(({ verbosity }) => verbosity)).toEqual([1]);
});

test('M7 success echoes metadata, errors do not', async () => {
  expect((await vfs.send('/p:q/d/f', 'Len', { metadata: 'm' }))?.metadata).toBe('m');
  expect((await vfs.send('/p:q/d/nope', 'Len', { metadata: 'm' }))?.metadata).toBeUndefined();
});

test('M8 errors do not answer a request that expected nothing, but reach rsvp (H18)', async () => {
  expect(await vfs.send('/p:q/d/nope', 'Read', { expectsResponse: false })).toBeUndefined();
  const rsvp = { node: 'alice.os', process: processId('a:b:c') };
  const reply = await vfs.send('/p:q/d/nope', 'Read', { rsvp, expectsResponse: false });
  expect([reply?.to, reply?.body]).toEqual([rsvp, NOT_FOUND]);
});

test('M10 data comes as an octet-stream blob, other replies have none', async () => {
  expect((await vfs.send('/p:q/d/f', 'Read'))?.blob?.mime).toBe('application/octet-stream');
  expect((await vfs.send('/p:q/d/f', 'Len'))?.blob).toBeUndefined();
  expect((await vfs.send('/p:q/d/f', 'OpenFile'))?.blob).toBeUndefined();
});

test('M13 slashes and dots do not matter', async () => {
  for (const path of ['p:q/d/f', '/p:q/d/f', '//p:q//d/./f', '///p:q/./d/f/'])
    expect(await vfs.read(path), path).toBe('content');
});

test('M14 climbing above the root is MalformedRequest', async () => {
  for (const path of ['/p:q/d/../../../etc/passwd', '..', '/p:q/../..', '/../p:q/d/f'])
    for (const action of ['Read', 'ReadDir'] as const)
      expect(await vfs.do(path, action), path).toEqual(err('MalformedRequest'));
});

test('M15 the checked package and drive are those of the normalised path', async () => {
  expect(await vfs.do('/y:z/d/../../p:q/d/f', 'Read', as(STRANGER))).toEqual(err('NoReadCap'));
  expect(await vfs.read('/y:z/d/../../p:q/d/f')).toBe('content');
});

test('M16 paths without package and drive', async () => {
  for (const path of [
    '/nocolon/d/f',
    '/a:b',
    '',
    '/',
    '/a:b:c/d',
    '/:b/d',
    '/a:/d',
    '/p:q/d/\0',
    'p:q',
  ])
    expect(await vfs.do(path, 'Read'), path).toEqual(err('MalformedRequest'));
});

test('M18 a process of the package uses drives of its siblings without capabilities', async () => {
  expect(await vfs.read('/p:q/d/f', 'Read', as(SIBLING))).toBe('content');
  expect(await vfs.do('/p:q/d/f', 'Write', { from: SIBLING, blob: 'new' })).toBe('Ok');
});

test('M19 CreateDrive grants read and write to the calling process', () => {
  const granted = vfs.port.granted.get(processId(OWNER)) ?? [];
  expect(granted.map(({ params }) => params)).toEqual([READ_D.params, WRITE_D.params]);
  expect(granted.map(capabilityKey)).toEqual([READ_D, WRITE_D].map(capabilityKey));
});

test('M20 CreateDrive twice, on another package, with root, and from an unknown process', async () => {
  expect(await vfs.do('/p:q/d', 'CreateDrive')).toBe('Ok');
  expect(await vfs.read('/p:q/d/f')).toBe('content');
  expect(await vfs.do('/p:q/e', 'CreateDrive', as(STRANGER))).toEqual(err('NoWriteCap'));
  expect(await vfs.do('/p:q/e', 'CreateDrive', as(STRANGER, WRITE_D))).toEqual(err('NoWriteCap'));
  expect(await vfs.do('/p:q/e', 'CreateDrive', as(STRANGER, ROOT))).toBe('Ok');
  expect(vfs.port.granted.get(processId(STRANGER))).toHaveLength(2);
  vfs.port.unknown.add(SIBLING);
  expect(await vfs.do('/p:q/g', 'CreateDrive', as(SIBLING))).toEqual(err('AddCapFailed'));
  await expect(stat(vfs.disk('p:q/g'))).rejects.toThrow('ENOENT');
});

test('M21 CreateDrive ignores what follows the drive', async () => {
  expect(await vfs.do('/p:q/new/x/y', 'CreateDrive')).toBe('Ok');
  expect(await vfs.do('/p:q/new', 'ReadDir')).toEqual({ ReadDir: [] });
});

const READS: WireAction[] = [
  'Read',
  'ReadDir',
  'ReadToEnd',
  { ReadExact: { length: 1 } },
  'ReadToString',
  { Seek: { Start: 0 } },
  'Metadata',
  'Len',
  'Hash',
];
const WRITES: WireAction[] = [
  'CreateDir',
  'CreateDirAll',
  'CreateFile',
  { OpenFile: { create: false } },
  'CloseFile',
  'Write',
  'WriteAll',
  'Append',
  'SyncAll',
  'RemoveFile',
  'RemoveDir',
  'RemoveDirAll',
  'AddZip',
  { SetLen: 1 },
];

test('M22 a foreign process without capabilities gets NoReadCap or NoWriteCap', async () => {
  for (const action of READS)
    expect(await vfs.do('/p:q/d/f', action, as(STRANGER))).toEqual(err('NoReadCap'));
  for (const action of WRITES)
    expect(await vfs.do('/p:q/d/f', action, { from: STRANGER, blob: 'x' })).toEqual(
      err('NoWriteCap'),
    );
  expect(await readFile(vfs.disk('p:q/d/f'), 'utf8')).toBe('content');
});

test('M23 with read alone reading works, OpenFile and CloseFile do not', async () => {
  const reader = as(STRANGER, READ_D);
  expect(await vfs.read('/p:q/d/f', 'Read', reader)).toBe('content');
  expect(await vfs.do('/p:q/d', 'ReadDir', reader)).toHaveProperty('ReadDir');
  expect(await vfs.do('/p:q/d/f', 'Metadata', reader)).toHaveProperty('Metadata.len', 7);
  expect(await vfs.do('/p:q/d/f', 'Len', reader)).toEqual({ Len: 7 });
  expect(await vfs.do('/p:q/d/f', 'Hash', reader)).toHaveProperty('Hash');
  expect(await vfs.do('/p:q/d/f', { Seek: { Start: 3 } }, reader)).toHaveProperty('SeekFrom');
  expect(await vfs.read('/p:q/d/f', 'ReadToEnd', reader)).toBe('tent');
  for (const action of WRITES)
    expect(await vfs.do('/p:q/d/f', action, { ...reader, blob: 'x' })).toEqual(err('NoWriteCap'));
});

test('M24 write does not imply read', async () => {
  const writer = as(STRANGER, WRITE_D);
  expect(await vfs.do('/p:q/d/f', 'Write', { ...writer, blob: 'x' })).toBe('Ok');
  for (const action of READS)
    expect(await vfs.do('/p:q/d/f', action, writer)).toEqual(err('NoReadCap'));
});

test('M25 capabilities are compared as JSON, drives exactly', async () => {
  const spaced = capability('{ "drive":"/p:q/d" ,"kind":"read"}');
  expect(await vfs.read('/p:q/d/f', 'Read', as(STRANGER, spaced))).toBe('content');
  for (const drive of ['/p:q/d2', '/p:q/D', 'p:q/d', '/p:q/d/', '/p:q/d/f', '/p:q']) {
    const other = capability(JSON.stringify({ kind: 'read', drive }));
    expect(await vfs.do('/p:q/d/f', 'Read', as(STRANGER, other)), drive).toEqual(err('NoReadCap'));
  }
  const foreign = { ...READ_D, issuer: { ...READ_D.issuer, node: 'bob.os' } };
  expect(await vfs.do('/p:q/d/f', 'Read', as(STRANGER, foreign))).toEqual(err('NoReadCap'));
});

test('M26 root allows everything everywhere', async () => {
  const admin = as(STRANGER, ROOT);
  expect(await vfs.read('/p:q/d/f', 'Read', admin)).toBe('content');
  expect(await vfs.do('/p:q/d/f', { Rename: { new_path: '/p:q/d/g' } }, admin)).toBe('Ok');
  expect(await vfs.do('/p:q/d', 'RemoveDirAll', admin)).toBe('Ok');
});

test('M27 the kernel skips checks, except for root listings; a process named kernel elsewhere does not', async () => {
  expect(await vfs.read('/p:q/d/f', 'Read', as(KERNEL_ID))).toBe('content');
  expect(await vfs.do('/p:q/e', 'CreateDrive', as(KERNEL_ID))).toBe('Ok');
  expect(await vfs.do('/', 'ReadDir', as(KERNEL_ID))).toEqual(err('NoReadCap'));
  expect(await vfs.do('/p:q/d/f', 'Read', as('kernel:evil:os'))).toEqual(err('NoReadCap'));
});

test('M28 Rename and CopyFile inside the own package need no capability', async () => {
  await vfs.do('/p:q/e', 'CreateDrive', as(SIBLING));
  expect(await vfs.do('/p:q/d/f', { CopyFile: { new_path: '/p:q/e/f' } })).toBe('Ok');
  expect(await vfs.do('/p:q/d/f', { Rename: { new_path: '/p:q/e/g' } })).toBe('Ok');
  expect(await vfs.read('/p:q/e/g')).toBe('content');
});

test('M29 copying from the own package into a foreign drive needs write on both', async () => {
  await vfs.do('/y:z/mine', 'CreateDrive', as('maker:y:z'));
  await vfs.do('/y:z/mine/f', 'Write', { from: STRANGER, blob: 'gift' });
  const mine = capability('{"kind":"write","drive":"/y:z/mine"}');
  const copy = { CopyFile: { new_path: '/p:q/d/gift' } };
  expect(await vfs.do('/y:z/mine/f', copy, as(STRANGER, WRITE_D))).toEqual(err('NoWriteCap'));
  expect(await vfs.do('/y:z/mine/f', copy, as(STRANGER, mine))).toEqual(err('NoWriteCap'));
  expect(await vfs.do('/y:z/mine/f', copy, as(STRANGER, mine, WRITE_D))).toBe('Ok');
  expect(await vfs.do('/y:z/mine/f', copy, as(STRANGER, ROOT))).toBe('Ok');
  expect(await vfs.read('/p:q/d/gift')).toBe('gift');
});

test('M30 CopyFile within one foreign drive needs one write capability and no read', async () => {
  const copy = { CopyFile: { new_path: '/p:q/d/g' } };
  expect(await vfs.do('/p:q/d/f', copy, as(STRANGER, READ_D))).toEqual(err('NoWriteCap'));
  expect(await vfs.do('/p:q/d/f', copy, as(STRANGER, WRITE_D))).toBe('Ok');
});

test('M30 a malformed second path is MalformedRequest', async () => {
  for (const new_path of ['/p:q', '../x', 'p/q/r', '/p:q/d/../../../x', 'a:b/d/\0'])
    expect(await vfs.do('/p:q/d/f', { Rename: { new_path } })).toEqual(err('MalformedRequest'));
});

test('M31 ReadDir of the root needs root and lists packages', async () => {
  await vfs.do('/a:b/d', 'CreateDrive', as('x:a:b'));
  expect(await vfs.do('/', 'ReadDir')).toEqual(err('NoReadCap'));
  const listed = (await vfs.do('/', 'ReadDir', as(STRANGER, ROOT))) as {
    ReadDir: { path: string }[];
  };
  expect(listed.ReadDir.map(({ path }) => path).toSorted()).toEqual(['a:b', 'p:q']);
});

test('M32 ReadDir of a package needs root, also from its own processes', async () => {
  expect(await vfs.do('/p:q', 'ReadDir')).toEqual(err('NoReadCap'));
  expect(await vfs.do('/p:q', 'ReadDir', as(OWNER, ROOT))).toEqual({
    ReadDir: [{ path: 'p:q/d', file_type: 'Directory' }],
  });
});

test('M33 root listings answer unasked, to the source, with metadata', async () => {
  const rsvp = { node: 'alice.os', process: processId('a:b:c') };
  const reply = await vfs.send('/', 'ReadDir', {
    ...as(STRANGER, ROOT),
    rsvp,
    metadata: 'm',
    expectsResponse: false,
  });
  expect([reply?.to.process, reply?.metadata]).toEqual([STRANGER, 'm']);
});
