/** Requests to `http-server:distro:sys` (runtime-modules.md §6.2). */
import type { LazyLoadBlob } from '../../wit/types.ts';
import { NoResponse } from './errors.ts';
import { callModule, type Caller, ModuleError } from './modules.ts';

export const HTTP_SERVER = 'http-server:distro:sys';

/**
 * `code`: as in runtime-modules.md §6.2 (`NoBlob`, `InvalidSourceProcess`, `WsChannelNotFound`, ...), or `NoMessaging` when the manifest
 * does not request the module, `NoAnswer` when it is silent.
 */
export class HttpServerError extends ModuleError {
  override readonly name = 'HttpServerError';
}

/** @throws HttpServerError */
export async function callHttpServer(
  caller: Caller,
  action: Readonly<Record<string, unknown>>,
  blob?: LazyLoadBlob,
  timeoutS?: number,
): Promise<void> {
  const [kind = ''] = Object.keys(action);
  const calls = { module: 'http-server', timeoutS, error: HttpServerError } as const;
  const what = `http-server ${kind}`;
  try {
    await callModule(caller, calls, { what, body: action, blob: blob?.bytes, mime: blob?.mime });
  } catch (error) {
    if (!(error instanceof NoResponse)) throw error;
    const detail = kind.endsWith('Bind')
      ? `unless the process is public, the manifest's grant_capabilities must name "${HTTP_SERVER}"`
      : 'it does not keep up';
    throw new HttpServerError('NoAnswer', what, detail);
  }
}
