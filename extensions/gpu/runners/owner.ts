/** Who started a container: an instance of the extension, recognised by others on the machine while it lives. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The id of this program. The number of a process comes again; together with when it started it does not. */
export function instanceId(): string {
  return `${process.pid}.${startOf(process.pid) ?? 0}.${randomBytes(8).toString('hex')}`;
}

/** Whether the program that made this id still runs. What is no id of ours is nobody's. */
export function isLive(id: string): boolean {
  const [pid, start] = id.split('.').map(Number);
  if (pid === undefined || start === undefined || !Number.isInteger(pid) || pid <= 0) return false;
  const found = startOf(pid);
  if (found !== undefined) return found === start;
  if (process.platform === 'linux') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** When a process started, in ticks since boot; undefined where that can't be asked or there is none. */
function startOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything. Field 22 of proc(5) is the start; 3 is the first behind the name.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return start === undefined ? undefined : Number(start);
  } catch {
    return undefined;
  }
}
