/** Operating-system errors as the texts guests match on (runtime-modules.md §1.6, M12). */

/** Linux numbers whatever the host: guests see one system. */
const KNOWN: Readonly<Record<string, readonly [errno: number, text: string]>> = {
  EPERM: [1, 'Operation not permitted'],
  ENOENT: [2, 'No such file or directory'],
  EIO: [5, 'Input/output error'],
  ENXIO: [6, 'No such device or address'],
  EBADF: [9, 'Bad file descriptor'],
  ENOMEM: [12, 'Cannot allocate memory'],
  EACCES: [13, 'Permission denied'],
  EBUSY: [16, 'Device or resource busy'],
  EEXIST: [17, 'File exists'],
  EXDEV: [18, 'Invalid cross-device link'],
  ENOTDIR: [20, 'Not a directory'],
  EISDIR: [21, 'Is a directory'],
  EINVAL: [22, 'Invalid argument'],
  ENFILE: [23, 'Too many open files in system'],
  EMFILE: [24, 'Too many open files'],
  ETXTBSY: [26, 'Text file busy'],
  EFBIG: [27, 'File too large'],
  ENOSPC: [28, 'No space left on device'],
  EROFS: [30, 'Read-only file system'],
  EMLINK: [31, 'Too many links'],
  ENAMETOOLONG: [36, 'File name too long'],
  ENOTEMPTY: [39, 'Directory not empty'],
  ELOOP: [40, 'Too many levels of symbolic links'],
  EOVERFLOW: [75, 'Value too large for defined data type'],
  EDQUOT: [122, 'Disk quota exceeded'],
};

/** A failure whose text is decided: what an `IOError` will say. Thrown inside modules, never out of them. */
export class IoFailure extends Error {
  override readonly name = 'IoFailure';
}

/** A failure as the operating system would have reported it. */
export function ioFailure(code: string): IoFailure {
  return new IoFailure(textOf(code));
}

/** A read of an exact length met the end. */
export const earlyEof = (): IoFailure => new IoFailure('early eof');
/** A text read met invalid UTF-8. */
export const notUtf8 = (): IoFailure => new IoFailure('stream did not contain valid UTF-8');

/** The text for a thrown value, or undefined when it is no I/O failure but a bug. */
export function ioErrorText(thrown: unknown): string | undefined {
  if (thrown instanceof IoFailure) return thrown.message;
  const code = errorCode(thrown);
  if (code === undefined) return undefined;
  if (Object.hasOwn(KNOWN, code)) return textOf(code);
  // A code beyond the table still has a number; only libuv's own codes lack a text we could vouch for.
  const errno = thrown instanceof Error && 'errno' in thrown ? thrown.errno : undefined;
  return typeof errno === 'number' ? `${code} (os error ${Math.abs(errno)})` : undefined;
}

/** The `code` of a Node system error, such as `ENOENT`. */
export function errorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

function textOf(code: string): string {
  const [errno, text] = KNOWN[code] ?? [5, 'Input/output error'];
  return `${text} (os error ${errno})`;
}
