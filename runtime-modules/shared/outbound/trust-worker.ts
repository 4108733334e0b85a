/** Reads the system's certificate authorities, which takes tens of milliseconds, off the kernel's thread (outbound/trust.ts). */
import { getCACertificates } from 'node:tls';
import { parentPort } from 'node:worker_threads';

parentPort?.postMessage([
  ...new Set([...getCACertificates('default'), ...getCACertificates('system')]),
]);
