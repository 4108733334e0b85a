/** How others reach a node (networking.md §1). */

/** Port 0 stands for a transport that is not offered; it is left out. */
export interface Ports {
  readonly ws?: number;
  readonly tcp?: number;
}

export type Routing =
  /** `ip` undefined: not known yet, because the chain could not be asked. */
  | { readonly kind: 'direct'; readonly ip: string | undefined; readonly ports: Ports }
  | { readonly kind: 'routers'; readonly routers: readonly string[] };
