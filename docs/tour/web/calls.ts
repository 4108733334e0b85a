import { contract, defineProcess, method, Refusal, t } from 'hyperware';
import { HttpServer } from 'hyperware/http-server';

export const sums = contract({
  Add: method(t.tuple(t.f64, t.f64), t.f64),
  Divide: method(t.tuple(t.f64, t.f64), t.f64),
});

const on = {
  Add: ([a, b]: readonly [number, number]) => a + b,
  Divide: ([a, b]: readonly [number, number]) => {
    if (b === 0) throw new Refusal('ByZero', 'nothing is divided by nothing');
    return a / b;
  },
};

const http = new HttpServer();
http.contract('/sums', sums, on);

export default defineProcess({ contract: sums, on, http });
