/** The part of WebGPU that jobs need, as types: its package is installed by operators, not with this program. */
export interface Library {
  create(options: readonly string[]): { requestAdapter(): Promise<Adapter | null> };
}

export interface Adapter {
  readonly info: { readonly vendor: string; readonly description: string };
  readonly limits: Readonly<Record<string, number | undefined>>;
  requestDevice(): Promise<Device>;
}

export interface GpuBuffer {
  mapAsync(mode: number, offset: number, size: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
}

export interface Device {
  readonly lost: Promise<{ readonly message: string }>;
  readonly queue: {
    writeBuffer(buffer: GpuBuffer, offset: number, bytes: Uint8Array): void;
    submit(commands: readonly object[]): void;
    onSubmittedWorkDone(): Promise<void>;
  };
  pushErrorScope(filter: 'validation'): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
  createBuffer(options: { readonly size: number; readonly usage: number }): GpuBuffer;
  createShaderModule(options: { readonly code: string }): {
    getCompilationInfo(): Promise<{
      readonly messages: readonly {
        readonly type: string;
        readonly message: string;
        readonly lineNum: number;
      }[];
    }>;
  };
  createBindGroupLayout(options: object): object;
  createPipelineLayout(options: object): object;
  createComputePipeline(options: object): object;
  createBindGroup(options: object): object;
  createCommandEncoder(): {
    beginComputePass(): {
      setPipeline(pipeline: object): void;
      setBindGroup(index: number, group: object): void;
      dispatchWorkgroups(x: number, y: number, z: number): void;
      end(): void;
    };
    copyBufferToBuffer(
      from: GpuBuffer,
      at: number,
      to: GpuBuffer,
      toAt: number,
      size: number,
    ): void;
    finish(): object;
  };
}
