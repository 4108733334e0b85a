/** Bodies and error names of `vfs:distro:sys` (runtime-modules.md §2.1, §2.2), spelled as on the wire. */
import { bool, bytes, i64, list, record, text, u64, union, unit, type Decoded } from './codec.ts';

const newPath = record({ new_path: text });

export const vfsAction = union({
  CreateDrive: unit,
  CreateDir: unit,
  CreateDirAll: unit,
  CreateFile: unit,
  OpenFile: record({ create: bool }),
  CloseFile: unit,
  Write: unit,
  WriteAll: unit,
  Append: unit,
  SyncAll: unit,
  Read: unit,
  ReadDir: unit,
  ReadToEnd: unit,
  ReadExact: record({ length: u64 }),
  ReadToString: unit,
  Seek: union({ Start: u64, End: i64, Current: i64 }),
  RemoveFile: unit,
  RemoveDir: unit,
  RemoveDirAll: unit,
  Rename: newPath,
  Metadata: unit,
  AddZip: unit,
  CopyFile: newPath,
  Len: unit,
  SetLen: u64,
  Hash: unit,
});
export type VfsAction = Decoded<typeof vfsAction>;

export const vfsRequest = record({ path: text, action: vfsAction });
export type VfsRequest = Decoded<typeof vfsRequest>;

export const fileType = union({ File: unit, Directory: unit, Symlink: unit, Other: unit });
export type FileType = Decoded<typeof fileType>['kind'];

/** Entry paths are relative to the vfs root, without a leading slash (M34). */
export const dirEntry = record({ path: text, file_type: fileType });

export const vfsError = union({
  MalformedRequest: unit,
  NoBlob: unit,
  NoWriteCap: unit,
  NoReadCap: unit,
  AddCapFailed: unit,
  ParseError: record({ error: text, path: text }),
  IOError: text,
  UnzipError: unit,
});
export type VfsError = Decoded<typeof vfsError>;

export const vfsResponse = union({
  Ok: unit,
  Read: unit,
  ReadToString: text,
  ReadDir: list(dirEntry),
  SeekFrom: record({ new_offset: u64 }),
  Metadata: record({ file_type: fileType, len: u64 }),
  Len: u64,
  Hash: bytes,
  Err: vfsError,
});
export type VfsResponse = Decoded<typeof vfsResponse>;
