/** Which content type a file has, by the end of its name. */

const UTF8 = '; charset=utf-8';

const TYPES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  css: `text/css${UTF8}`,
  csv: `text/csv${UTF8}`,
  gif: 'image/gif',
  htm: `text/html${UTF8}`,
  html: `text/html${UTF8}`,
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: `text/javascript${UTF8}`,
  json: 'application/json',
  map: 'application/json',
  md: `text/markdown${UTF8}`,
  mjs: `text/javascript${UTF8}`,
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  ogg: 'audio/ogg',
  otf: 'font/otf',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  ttf: 'font/ttf',
  txt: `text/plain${UTF8}`,
  wasm: 'application/wasm',
  wav: 'audio/wav',
  webm: 'video/webm',
  webmanifest: 'application/manifest+json',
  webp: 'image/webp',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xml: 'application/xml',
  zip: 'application/zip',
};

export const HTML = `text/html${UTF8}`;
export const TEXT = `text/plain${UTF8}`;
export const JSON_TYPE = 'application/json';
/** Of bytes nobody has said anything about. */
export const BYTES = 'application/octet-stream';

/** The content type of a file called `path`. */
export function contentType(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  const ending = dot < 0 ? '' : name.slice(dot + 1).toLowerCase();
  return Object.hasOwn(TYPES, ending) ? (TYPES[ending] ?? BYTES) : BYTES;
}
