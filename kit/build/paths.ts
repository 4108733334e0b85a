/** Where the parts of this repository lie that building reads. */
import { fileURLToPath } from 'node:url';

const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The repository's root folder. */
export const REPOSITORY = fromHere('../..');
/** The contract every process is built against. */
export const PROCESS_WIT = fromHere('../../wit/process-v1.wit');
/** The guest-side library; `hyperware` in a package's imports. */
export const PROCESS_LIBRARY = fromHere('../../processes/lib');
/** The shared record types, a part of the library. */
export const WIT_FOLDER = fromHere('../../wit');
/** The canonical-ABI glue for C and AssemblyScript. */
export const GLUE = fromHere('../templates/glue');
/** What wasm jobs in AssemblyScript import as `job`. */
export const JOB_GLUE = fromHere('../templates/job');
/** Templates of `kit new`. */
export const TEMPLATES = fromHere('../templates');
/** What a package outside this repository may import without installing it: preact, htm, uplot. */
export const NODE_MODULES = fromHere('../../node_modules');
