/**
 * An extension that lies: the real one, whose functions are run and whose outputs are then changed, before they are hashed, signed and sent.
 * Everything that it says fits together; only running the job again shows that it is false.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { detectDevice } from '../../extensions/gpu/detect/device.ts';
import { Executor } from '../../extensions/gpu/executor.ts';
import { Provider } from '../../extensions/gpu/provider.ts';
import { BuiltinRunner } from '../../extensions/gpu/runners/builtin.ts';
import type { Run, RunEnd, Runner } from '../../extensions/gpu/runners/runner.ts';
import { SignedReceipts } from '../../extensions/gpu/signed-receipts.ts';
import { systemClock } from '../../extensions/link/clock.ts';
import { dialWebSocket } from '../../extensions/link/socket.ts';
import { tokenIn } from '../../wit/hn-ext/handshake.ts';
import { deviceInfo } from '../../wit/jobs/device.ts';

class LyingRunner extends BuiltinRunner implements Runner {
  override async run(run: Run): Promise<RunEnd> {
    const end = await super.run(run);
    for (const name of await readdir(run.outputs)) {
      const path = join(run.outputs, name);
      const bytes = await readFile(path);
      bytes[0]! ^= 1;
      await writeFile(path, bytes);
    }
    return end;
  }
}

export interface Lying {
  /** Of the node's web server. */
  readonly url: string;
  /** The pairing token. */
  readonly token: string;
  /** Of its key and its jobs; exists. */
  readonly home: string;
}

export async function startLying({ url, token, home }: Lying): Promise<AsyncDisposable> {
  const runner = new LyingRunner();
  const device = await detectDevice({ home, isolation: ['process'], runners: [runner] });
  const receipts = await SignedReceipts.open(join(home, 'receipts'));
  const provider = new Provider(
    {
      url: `${url.replace('http', 'ws')}/gpu:compute:sys/ext`,
      token: tokenIn(token)!,
      ...{ version: 'lying', slots: 4, jobs: join(home, 'jobs') },
    },
    {
      clock: systemClock,
      dial: dialWebSocket,
      print: () => undefined,
      executor: await Executor.open(home),
      receipts,
      runners: new Map([['builtin', runner]]),
      backend: () => undefined,
      device: () => deviceInfo.stringify(device),
      wallMs: () => Date.now(),
    },
  );
  await provider.start();
  return {
    async [Symbol.asyncDispose]() {
      await provider.close('the test is over');
      await receipts.close();
      await runner.close();
    },
  };
}
