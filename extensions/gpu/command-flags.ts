/** What `--commands-allow` and `--gpu-probe-image` say. */
import type { AllowedCommand } from './runners/command/runner.ts';

/**
 * `PATH` with any arguments, or `PATH=ARGUMENTS`: an expression that all of them, with a space between, must match.
 * @returns a text for whoever wrote something else
 */
export function allowedCommand(flag: string): AllowedCommand | string {
  const at = flag.indexOf('=');
  const path = at === -1 ? flag : flag.slice(0, at);
  if (!/^\/[^=]*[^/=]$/.test(path) || path.split('/').some((part) => part === '..' || part === '.'))
    return `"${flag}" names no program by its whole path, such as /usr/bin/ffmpeg`;
  if (at === -1) return { path, args: /.*/s };
  try {
    return { path, args: new RegExp(flag.slice(at + 1), 's') };
  } catch {
    return `"${flag.slice(at + 1)}" is no expression for the arguments of ${path}`;
  }
}

/** A probe is run at every start: what it is must not change. */
export function isPinned(image: string): boolean {
  return /^[a-z0-9][a-z0-9._:/-]{0,255}@sha256:[0-9a-f]{64}$/.test(image);
}
