import { contract, defineProcess, method, t } from 'hyperware';

export default defineProcess({
  contract: contract({ Greet: method(t.text, t.text) }),
  on: {
    Greet: (name) => `Hello, ${name}!`,
  },
});
