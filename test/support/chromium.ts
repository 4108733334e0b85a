/** Debian's Chromium for tests in a real browser; a fresh profile each time. */
import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export interface ChromiumOptions {
  /** Names that resolve to this machine, as `*.node.test`. Those below `localhost` do without. */
  readonly names?: readonly string[];
  /** Origins over plain HTTP that are treated as if they had TLS. */
  readonly secureOrigins?: readonly string[];
}

/** Undefined where none is installed. The caller closes it. */
export async function startChromium(options: ChromiumOptions = {}): Promise<Browser | undefined> {
  const installed = await Promise.all(
    PATHS.map((path) =>
      access(path).then(
        () => path,
        () => undefined,
      ),
    ),
  );
  const executablePath = installed.find((path) => path !== undefined);
  if (executablePath === undefined) return undefined;
  const { names = [], secureOrigins = [] } = options;
  return chromium.launch({
    executablePath,
    args: [
      // The tests of a container run as root, where there is no sandbox.
      '--no-sandbox',
      `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(', ')}`,
      `--unsafely-treat-insecure-origin-as-secure=${secureOrigins.join(',')}`,
    ],
  });
}
