/** The part of yazl 3 that we use; it ships without types. */
declare module 'yazl' {
  interface EntryOptions {
    mtime?: Date;
    mode?: number;
    compress?: boolean;
    forceDosTimestamp?: boolean;
  }
  export class ZipFile {
    readonly outputStream: AsyncIterable<Uint8Array>;
    addBuffer(bytes: Buffer, path: string, options?: EntryOptions): void;
    addEmptyDirectory(path: string, options?: Omit<EntryOptions, 'compress'>): void;
    end(): void;
  }
}
