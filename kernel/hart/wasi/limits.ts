/** Limits of the WASI host. */

/** Bytes one `get-random-bytes` may ask for. */
export const randomBytesMax = 1024 * 1024;
/** Bytes `check-write` permits at a time. */
export const writePermitBytes = 64 * 1024;
/** Bytes one `blocking-write-and-flush` takes; the interface's own number. */
export const blockingWriteBytesMax = 4096;
/** Bytes of stderr kept for the trap report; kernel.md §5.8 has at most this. */
export const stderrRingBytes = 5000;
/** Longest single timer, in milliseconds; beyond it the runtime would fire at once. Longer waits are chained. */
export const timerMsMax = 2 ** 31 - 1;
