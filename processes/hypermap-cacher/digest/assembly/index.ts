// keccak256 of the blob of each request, as the body of its answer (not TypeScript: compiled by asc). A file of a megabyte takes an
// interpreter two seconds.
import { blob, blobLength, expectsResponse, fetchBlob, receive, REQUEST, respond } from 'hyperware';
import { keccak256 } from '../../../lib/assembly/keccak';

const HASH_BYTES: usize = 32;
const hash = memory.data(32, 8);

export function main(our: string): void {
  while (true) {
    if (receive() != REQUEST || !expectsResponse()) continue;
    const found = fetchBlob();
    if (found) keccak256(blob(), blobLength(), hash);
    respond(hash, found ? HASH_BYTES : 0);
  }
}
