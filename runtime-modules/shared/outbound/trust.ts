/** Whom TLS connections trust: the authorities that Node brings, the system's, and what the operator adds. */
import { extname } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { Worker } from 'node:worker_threads';

/** The context of all TLS connections, made at the first call: thousands of certificates are not parsed for each of them. */
export type Trust = () => Promise<SecureContext>;

/** @param extraCa certificates in PEM, trusted beside the system's */
export function systemTrust(extraCa: readonly string[] = []): Trust {
  let context: Promise<SecureContext> | undefined;
  return () => (context ??= load(extraCa));
}

async function load(extraCa: readonly string[]): Promise<SecureContext> {
  const authorities = await readAuthorities();
  return createSecureContext({ ca: [...authorities, ...extraCa] });
}

/** What Node brings is enough when the system's cannot be read. */
function readAuthorities(): Promise<readonly string[]> {
  const file = new URL(`./trust-worker${extname(import.meta.filename)}`, import.meta.url);
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  const worker = new Worker(file);
  worker.once('message', resolve);
  const fallback = (): void => resolve(getCACertificates('default'));
  worker.once('error', fallback);
  worker.once('exit', fallback);
  return promise;
}
