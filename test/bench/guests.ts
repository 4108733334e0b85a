/** The benches' guests, built once a run. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildComponent } from '../../kit/build/component.ts';

const FOLDER = fileURLToPath(new URL('guests', import.meta.url));
/** The echo that tests use too. */
const SHARED = fileURLToPath(new URL('../guests', import.meta.url));
const built = new Map<string, Promise<Uint8Array>>();

/** The component of a file in test/bench/guests. */
export function guest(file: string): Promise<Uint8Array> {
  return once(file, () => buildComponent(join(FOLDER, file)));
}

/** Answers every request with its own body and blob. */
export function echoGuest(): Promise<Uint8Array> {
  return once('echo.wat', () => buildComponent(join(SHARED, 'echo.wat')));
}

/** As `guest`, with one marker of its text replaced. */
export function guestWith(file: string, marker: string, text: string): Promise<Uint8Array> {
  return once(`${file} ${text}`, async () => {
    const source = await readFile(join(FOLDER, file), 'utf8');
    if (!source.includes(marker)) throw new Error(`${file} has no ${marker}`);
    const folder = await mkdtemp(join(tmpdir(), 'hyperloom-bench-'));
    try {
      const made = join(folder, file);
      await writeFile(made, source.replace(marker, text));
      return await buildComponent(made);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

function once(key: string, build: () => Promise<Uint8Array>): Promise<Uint8Array> {
  let made = built.get(key);
  if (made === undefined) {
    made = build();
    built.set(key, made);
  }
  return made;
}

/** What requesters are asked with: 32 bits, little-endian. @param node  that `requester.wat` is to ask; default its own */
export function countBody(count: number, node = ''): Uint8Array {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setUint32(0, count, true);
  return Buffer.concat([body, Buffer.from(node)]);
}
