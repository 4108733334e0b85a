/**
 * Network namespaces joined by a switch in one of their own (findings F27). Cutting a host off takes the switch's end of its cable down: nothing
 * passes and nothing is refused.
 */
import { execFileSync, spawnSync } from 'node:child_process';

const SUBNET = '10.77.0';

function ip(...args: readonly string[]): void {
  execFileSync('ip', [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Why there can be none here; undefined when there can. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== 'linux') return 'this is not Linux';
  if (process.getuid?.() !== 0) return 'not run as root';
  const name = `hl${process.pid}try`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.error !== undefined) return 'there is no `ip`';
  if (made.status !== 0) return made.stderr.trim();
  const bridge = ['netns', 'exec', name, 'ip', 'link', 'add', 'br0', 'type', 'bridge'];
  const bridged = spawnSync('ip', bridge, { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', name]);
  return bridged.status === 0 ? undefined : bridged.stderr.trim();
}

/** Why the kernel spoils no cables here; undefined when it does. */
export function whyNoNetem(): string | undefined {
  const none = whyNoNamespaces();
  if (none !== undefined) return none;
  using namespaces = new Namespaces(1);
  try {
    namespaces.spoil(0, 'delay 1ms');
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: Buffer };
    return stderr?.toString().trim() ?? message;
  }
}

export class Namespaces implements Disposable {
  readonly #prefix = `hl${process.pid}`;
  readonly #hosts: number;

  constructor(hosts: number) {
    this.#hosts = hosts;
    const hub = this.#hub();
    ip('netns', 'add', hub);
    ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
    ip('-n', hub, 'link', 'set', 'br0', 'up');
    for (let host = 0; host < hosts; host++) {
      const there = this.name(host);
      ip('netns', 'add', there);
      ip('-n', there, 'link', 'set', 'lo', 'up');
      const cable = ['link', 'add', `port${host}`, 'type', 'veth', 'peer', 'name', 'eth0'];
      ip('-n', hub, ...cable, 'netns', there);
      ip('-n', hub, 'link', 'set', `port${host}`, 'master', 'br0', 'up');
      ip('-n', there, 'addr', 'add', `${this.ip(host)}/24`, 'dev', 'eth0');
      ip('-n', there, 'link', 'set', 'eth0', 'up');
    }
  }

  name(host: number): string {
    return `${this.#prefix}h${host}`;
  }

  ip(host: number): string {
    return `${SUBNET}.${host + 1}`;
  }

  /** What runs a command as if on that host. */
  command(host: number): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.name(host)];
  }

  cut(host: number): void {
    ip('-n', this.#hub(), 'link', 'set', `port${host}`, 'down');
  }

  heal(host: number): void {
    ip('-n', this.#hub(), 'link', 'set', `port${host}`, 'up');
  }

  /** Delay, loss and the like of a host's cable, in the words of `tc`. @throws Error where the kernel has no netem */
  spoil(host: number, netem: string): void {
    const command = ['netns', 'exec', this.name(host), 'tc', 'qdisc', 'replace', 'dev', 'eth0'];
    ip(...command, 'root', 'netem', ...netem.split(' '));
  }

  [Symbol.dispose](): void {
    for (let host = 0; host < this.#hosts; host++)
      spawnSync('ip', ['netns', 'del', this.name(host)]);
    spawnSync('ip', ['netns', 'del', this.#hub()]);
  }

  #hub(): string {
    return `${this.#prefix}hub`;
  }
}
