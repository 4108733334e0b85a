/** `terminal:terminal:sys` (runtime-modules.md §10.1). */
export { terminal as init } from '../../shared/host.ts';
