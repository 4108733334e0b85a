/** What callers of the contracts see is documented: as NatSpec, which wallets and explorers show. */
import solc from 'solc';
import { expect, test } from 'vitest';
import { readSources } from '../build/compile.ts';

/** Of the syntax tree, what is looked at. */
interface SyntaxNode {
  readonly nodeType: string;
  readonly name?: string;
  readonly kind?: string;
  readonly visibility?: string;
  readonly documentation?: unknown;
  readonly nodes?: readonly SyntaxNode[];
}

const DECLARED = new Set([
  'ContractDefinition',
  'EnumDefinition',
  'ErrorDefinition',
  'EventDefinition',
  'FunctionDefinition',
  'ModifierDefinition',
  'StructDefinition',
  'VariableDeclaration',
]);

test('HM3 contracts, functions, events, errors, types and public state have NatSpec', () => {
  const sources = readSources();
  // Analysed, for the trees of a parser alone have no documentation of state; no code is made.
  const settings = {
    remappings: ['@openzeppelin/=node_modules/@openzeppelin/'],
    outputSelection: { '*': { '': ['ast'] } },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify({ language: 'Solidity', sources, settings })),
  ) as { readonly sources: Readonly<Record<string, { readonly ast: SyntaxNode }>> };
  const bare: string[] = [];
  let seen = 0;
  const visit = (node: SyntaxNode, within: string): void => {
    const name = `${within} ${node.kind ?? ''} ${node.name ?? ''}`;
    // What only the contract itself can name is its own business.
    const isHidden =
      /^(private|internal)$/.test(node.visibility ?? '') && node.nodeType !== 'ModifierDefinition';
    if (DECLARED.has(node.nodeType) && !isHidden) {
      seen += 1;
      if (node.documentation === undefined || node.documentation === null) bare.push(name);
    }
    for (const inner of node.nodes ?? []) visit(inner, name);
  };
  for (const [file, { ast }] of Object.entries(output.sources))
    if (file.startsWith('contracts/src/')) visit(ast, file);
  expect(bare).toEqual([]);
  expect(seen).toBeGreaterThan(300);
});
