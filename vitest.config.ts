import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      '{wit,contracts,kernel,runtime-modules,processes,extensions,kit,test}/**/*.test.ts',
      '*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/target/**', 'kit/templates/**'],
    pool: 'forks',
    // Two cores, and every test that starts a node starts threads of its own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
