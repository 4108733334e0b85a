/** Templates: htm, bound to preact's `h`. */
import htm from 'htm';
import { h, type VNode } from 'preact';

type Template = (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

// Proof of the type: htm's declarations describe its CommonJS file, the bundler takes the module, whose default is the function. Every
// template of this page has exactly one root.
export const html = (htm as unknown as { bind(make: typeof h): Template }).bind(h);
