/** Messages as RFC 8291 encrypts them. */
import { createECDH } from 'node:crypto';
import { expect, test } from 'vitest';
import { encryptPush, parseBrowserKeys } from './encryption.ts';

test('RFC 8291 appendix A: the example is encrypted to the same bytes', async () => {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');
  const ephemeral = createECDH('prime256v1');
  ephemeral.setPrivateKey(bytes('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'));
  const browser = parseBrowserKeys(
    'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
    'BTBZMqHH6r4Tts7J_aSIgg',
  );
  if (!browser.ok) throw new Error(browser.error);
  const plaintext = Buffer.from('When I grow up, I want to be a watermelon');
  const message = encryptPush(plaintext, browser.value, {
    ephemeral,
    salt: bytes('DGv6ra1nlYgDCS1FRnbzlw'),
  });
  expect(Buffer.from(message).toString('base64url')).toBe(
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
  );
});
