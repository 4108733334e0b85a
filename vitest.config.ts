import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const library = fileURLToPath(new URL('processes/lib', import.meta.url));

export default defineConfig({
  // As kit has it, so that templates and what the documents show run here as they are.
  resolve: {
    alias: [
      { find: /^hyperware$/, replacement: `${library}/index.ts` },
      { find: /^hyperware\/(.+)$/, replacement: `${library}/$1.ts` },
    ],
  },
  test: {
    include: [
      '{bin,wit,contracts,kernel,runtime-modules,processes,extensions,kit,test}/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/target/**', 'kit/templates/**'],
    pool: 'forks',
    // Two cores, and every test that starts a node starts threads of its own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What is waited for is there in a moment, but on a busy machine.
    expect: { poll: { timeout: 30_000 } },
  },
});
