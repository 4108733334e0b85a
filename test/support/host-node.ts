/**
 * A node in a process of its own, for tests on several hosts: `NAME IP PORT FILE OTHER=IP:PORT…`. It chats, keeps the chat's state in FILE, which a
 * kill -9 leaves whole, and prints it whenever it changes, base64, a line each. A line `TARGET TEXT` of its input is a message to send.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import chat from '../../processes/chat/chat/index.ts';
import { NetNode, publicHex, testKey } from '../../runtime-modules/net/testing/nodes.ts';
import { processId } from '../../wit/address.ts';
import { type Disk, libraryGuest } from './library-guest.ts';

const CHAT = processId('chat:chat:sys');

class FileDisk implements Disk {
  readonly #path: string;
  #state: Uint8Array | undefined;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#state = readFileSync(path);
    } catch {
      // Its first start.
    }
    this.#show();
  }
  get state(): Uint8Array | undefined {
    return this.#state;
  }
  set state(bytes: Uint8Array | undefined) {
    this.#state = bytes;
    writeFileSync(`${this.#path}.new`, bytes ?? '');
    renameSync(`${this.#path}.new`, this.#path);
    this.#show();
  }
  #show(): void {
    process.stdout.write(`${Buffer.from(this.#state ?? []).toString('base64')}\n`);
  }
}

const [name = '', ip = '', port = '', file = '', ...others] = process.argv.slice(2);
const node = await NetNode.start({ name, ip, port: Number(port) });
for (const other of others) {
  const [called = '', at = '', on = ''] = other.split(/[=:]/);
  node.module.net.update({
    name: called,
    public_key: publicHex(testKey(called)),
    ips: [at],
    ports: new Map([['tcp', Number(on)]]),
    routers: [],
  });
}
await node.node.start(
  CHAT,
  libraryGuest(chat, new FileDisk(file), () => true),
  { holds: [node.node.network()], public: true },
);
for await (const line of createInterface({ input: process.stdin })) {
  const [target = '', ...words] = line.split(' ');
  void node.ask(name, JSON.stringify({ Send: { target, message: words.join(' ') } }), CHAT);
}
process.exit(0);
