/** docs/extensions.md: its examples are the files that it names, and the JavaScript one does what the page says. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { idIn, Scene } from '../../runtime-modules/http-server/testing/scene.ts';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));
const PROCESS = 'gpu:my-package:me.os';

test('M202 the page shows the examples as they are', async () => {
  const page = await readFile(join(docs, 'extensions.md'), 'utf8');
  for (const [language, file] of [
    ['js', 'examples/extension.mjs'],
    ['python', 'examples/extension.py'],
  ] as const) {
    const text = await readFile(join(docs, file), 'utf8');
    expect(page).toContain(`\n\`docs/${file}\``);
    expect(page).toContain(`\`\`\`${language}\n${text}\`\`\`\n`);
  }
});

test('M202 the JavaScript example answers its process, and connects again when its channel is closed', async () => {
  await using scene = await Scene.open();
  const owner = await scene.owner(PROCESS, { extension: true });
  const url = `ws://127.0.0.1:${scene.port}/${PROCESS}`;
  const example = spawn(process.execPath, [join(docs, 'examples/extension.mjs'), url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    for (let connection = 0; connection < 2; connection++) {
      const [open = ''] = await owner.lines(1);
      const id = idIn(open);
      const outgoing = { channel_id: id, message_type: 'Binary', desired_reply_type: 'Response' };
      await owner.act({ WebSocketExtPushOutgoing: outgoing }, 'stressed', { context: 'job' });
      expect(await owner.lines(1)).toEqual([
        `response to job {"WebSocketPush":{"channel_id":${id},"message_type":"Binary"}} desserts`,
      ]);
      expect(await owner.ask({ WebSocketClose: id })).toBe('{"Ok":null}');
      // Its end arrives as a closing frame and a closed channel.
      await owner.lines(2);
    }
  } finally {
    example.kill();
  }
});
