/**
 * The syntax tree of a component: what its bytes say, in binary order, resolved no further. Source: the component model's binary
 * format (findings.md F1, F9, F13).
 *
 * Order matters, because every index is a position in one of the index spaces of the enclosing component, and a definition only
 * sees what came before it. Each definition appends to spaces as follows, and to no other:
 *
 * | definition | space it appends to |
 * |---|---|
 * | core-module, core-instance, core-type, component, instance, type | its own |
 * | alias | that of its `sort` |
 * | canon lift | func |
 * | canon lower, resource-new, resource-drop, resource-rep | core-func |
 * | import | that of its `type.sort` |
 * | export | that of its `sort` (an export is also a new item, so later indices count it) |
 */

/** An index space of the core language; `core-type` and later also exist. */
export type CoreSort =
  | 'core-func'
  | 'core-table'
  | 'core-memory'
  | 'core-global'
  | 'core-type'
  | 'core-module'
  | 'core-instance';

/** An index space. Values and tags are refused while reading. */
export type Sort = CoreSort | 'func' | 'type' | 'component' | 'instance';

export interface SortIndex<S extends Sort = Sort> {
  readonly sort: S;
  readonly index: number;
}

/** A named item: an argument of an instantiation, or an export of an instance that is made of existing items. */
export interface NamedItem<S extends Sort = Sort> extends SortIndex<S> {
  readonly name: string;
}

export interface Component {
  readonly definitions: readonly Definition[];
  /** Where it begins in the file it was read from, in bytes. */
  readonly offset: number;
}

export type Definition =
  | CoreModuleDefinition
  | CoreInstanceDefinition
  | CoreTypeDefinition
  | ComponentDefinition
  | InstanceDefinition
  | AliasDefinition
  | TypeDefinition
  | CanonDefinition
  | ImportDefinition
  | ExportDefinition;

export interface CoreModuleDefinition {
  readonly kind: 'core-module';
  /** A view of the component's bytes, not a copy: never written to. */
  readonly bytes: Uint8Array;
  readonly module: CoreModule;
  /** Where the module begins in the file, in bytes. */
  readonly offset: number;
}

export interface CoreInstanceDefinition {
  readonly kind: 'core-instance';
  readonly from:
    | {
        readonly kind: 'instantiate';
        /** In core-module. */
        readonly module: number;
        /** Import module name to an index in core-instance. */
        readonly args: readonly { readonly name: string; readonly instance: number }[];
      }
    | { readonly kind: 'exports'; readonly exports: readonly NamedItem<CoreSort>[] };
}

/** Core types and module types. Nothing links by them, so only their being there is kept: they take a place in core-type. */
export interface CoreTypeDefinition {
  readonly kind: 'core-type';
  readonly form: 'func' | 'module';
}

export interface ComponentDefinition {
  readonly kind: 'component';
  readonly component: Component;
}

export interface InstanceDefinition {
  readonly kind: 'instance';
  readonly from:
    | {
        readonly kind: 'instantiate';
        /** In component. */
        readonly component: number;
        readonly args: readonly NamedItem[];
      }
    | { readonly kind: 'exports'; readonly exports: readonly NamedItem[] };
}

export interface AliasDefinition {
  readonly kind: 'alias';
  /** What it makes: one item of this space. */
  readonly sort: Sort;
  readonly target: AliasTarget;
}

export type AliasTarget =
  /** In instance. */
  | { readonly kind: 'export'; readonly instance: number; readonly name: string }
  /** In core-instance. */
  | { readonly kind: 'core-export'; readonly instance: number; readonly name: string }
  /** `count` components outward (0 is the enclosing one), then `index` in that one's space of the alias's sort. */
  | { readonly kind: 'outer'; readonly count: number; readonly index: number };

export interface TypeDefinition {
  readonly kind: 'type';
  readonly type: DefinedType;
}

export type PrimitiveType =
  | 'bool'
  | 's8'
  | 'u8'
  | 's16'
  | 'u16'
  | 's32'
  | 'u32'
  | 's64'
  | 'u64'
  | 'f32'
  | 'f64'
  | 'char'
  | 'string';

/** A primitive by name, or an index in type. */
export type ValueType = PrimitiveType | number;

export interface NamedType {
  readonly name: string;
  readonly type: ValueType;
}

export interface FuncType {
  readonly kind: 'func';
  readonly params: readonly NamedType[];
  readonly result: ValueType | undefined;
}

export type DefinedType =
  | { readonly kind: 'primitive'; readonly primitive: PrimitiveType }
  | { readonly kind: 'record'; readonly fields: readonly NamedType[] }
  | {
      readonly kind: 'variant';
      readonly cases: readonly { readonly name: string; readonly type: ValueType | undefined }[];
    }
  | { readonly kind: 'list'; readonly element: ValueType }
  | { readonly kind: 'tuple'; readonly elements: readonly ValueType[] }
  | { readonly kind: 'flags'; readonly names: readonly string[] }
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'option'; readonly some: ValueType }
  | {
      readonly kind: 'result';
      readonly ok: ValueType | undefined;
      readonly error: ValueType | undefined;
    }
  /** `resource`: an index in type. */
  | { readonly kind: 'own' | 'borrow'; readonly resource: number }
  | FuncType
  | { readonly kind: 'component'; readonly declarations: readonly Declaration[] }
  | { readonly kind: 'instance'; readonly declarations: readonly Declaration[] }
  /** Represented by an i32. `destructor`: an index in core-func. */
  | { readonly kind: 'resource'; readonly destructor: number | undefined };

/** One declarator of a component or instance type; they have index spaces of their own, filled in order like a component's. */
export type Declaration =
  | CoreTypeDefinition
  | TypeDefinition
  | AliasDefinition
  | ImportDefinition
  | { readonly kind: 'export-declaration'; readonly name: string; readonly type: ExternType };

/** What an import or export is. */
export type ExternType =
  /** `type`: an index in core-type. */
  | { readonly sort: 'core-module'; readonly type: number }
  /** `type`: an index in type. */
  | { readonly sort: 'func' | 'component' | 'instance'; readonly type: number }
  /** Equal to the type of that index. */
  | { readonly sort: 'type'; readonly bound: 'eq'; readonly type: number }
  /** A fresh resource. */
  | { readonly sort: 'type'; readonly bound: 'resource' };

export type StringEncoding = 'utf8' | 'utf16' | 'latin1+utf16';

export interface CanonOptions {
  /** UTF-8 unless said otherwise. */
  readonly encoding: StringEncoding;
  /** In core-memory. */
  readonly memory: number | undefined;
  /** In core-func. */
  readonly realloc: number | undefined;
  /** In core-func; lift only. */
  readonly postReturn: number | undefined;
}

export interface CanonDefinition {
  readonly kind: 'canon';
  readonly canon: Canon;
}

export type Canon =
  | {
      readonly kind: 'lift';
      /** In core-func. */
      readonly coreFunc: number;
      readonly options: CanonOptions;
      /** In type. */
      readonly type: number;
    }
  | {
      readonly kind: 'lower';
      /** In func. */
      readonly func: number;
      readonly options: CanonOptions;
    }
  /** `resource`: an index in type. */
  | {
      readonly kind: 'resource-new' | 'resource-drop' | 'resource-rep';
      readonly resource: number;
    };

export interface ImportDefinition {
  readonly kind: 'import';
  /** `init`, or `hyperware:process/standard@1.0.0`. */
  readonly name: string;
  readonly type: ExternType;
}

export interface ExportDefinition {
  readonly kind: 'export';
  readonly name: string;
  readonly sort: Sort;
  readonly index: number;
  /** The type it is ascribed, if any. */
  readonly type: ExternType | undefined;
}

/** A core value type as written: `i32`, `funcref`, or `ref` for a typed function reference `(ref null? $type)`. */
export type CoreValueType =
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64'
  | 'v128'
  | 'funcref'
  | 'externref'
  | 'exnref'
  | 'ref'
  | 'gc-ref';

export interface CoreFuncType {
  readonly params: readonly CoreValueType[];
  readonly results: readonly CoreValueType[];
}

/** `minimum` and `maximum` in pages of 64 KiB for a memory, in elements for a table; bigint never: 64-bit ones are clamped to 2^53. */
export interface Limits {
  readonly minimum: number;
  readonly maximum: number | undefined;
  readonly shared: boolean;
  /** 64-bit addresses. */
  readonly wide: boolean;
}

export interface CoreTable {
  readonly element: CoreValueType;
  readonly limits: Limits;
}

export interface CoreGlobal {
  readonly type: CoreValueType;
  readonly mutable: boolean;
}

export type CoreExternKind = 'func' | 'table' | 'memory' | 'global' | 'tag';

export interface CoreImport {
  readonly module: string;
  readonly field: string;
  readonly type:
    /** `type`: an index in the module's types. */
    | { readonly kind: 'func'; readonly type: number }
    | { readonly kind: 'table'; readonly table: CoreTable }
    | { readonly kind: 'memory'; readonly limits: Limits }
    | { readonly kind: 'global'; readonly global: CoreGlobal }
    | { readonly kind: 'tag'; readonly type: number };
}

export interface CoreExport {
  readonly name: string;
  readonly kind: CoreExternKind;
  /** In the module's index space of that kind, imports first. */
  readonly index: number;
}

/** What can be refused by name from declarations alone; instructions are refused where bodies are decoded (fuel). */
export type CoreFeature =
  | 'tags'
  | 'multi-memory'
  | 'memory64'
  | 'table64'
  | 'shared-memory'
  | 'custom-page-sizes'
  | 'gc'
  | 'exception-references';

/** A core module's declarations; its function bodies and constant expressions are skipped over, not decoded. */
export interface CoreModule {
  /** By index; undefined where a type is no function type (then `features` has gc). */
  readonly types: readonly (CoreFuncType | undefined)[];
  readonly imports: readonly CoreImport[];
  readonly exports: readonly CoreExport[];
  /** Type index of each function it defines; imported functions come before them in the index space. */
  readonly functions: readonly number[];
  /** The memories it defines. */
  readonly memories: readonly Limits[];
  /** The tables it defines. */
  readonly tables: readonly CoreTable[];
  /** The globals it defines. */
  readonly globals: readonly CoreGlobal[];
  readonly hasStart: boolean;
  readonly dataCount: number;
  readonly elementCount: number;
  /** In order of appearance, each once. */
  readonly features: readonly CoreFeature[];
}
