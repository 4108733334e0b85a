/** What tests of messages send, and how they tell what came. */
import type { LazyLoadBlob } from '../wit/types.ts';
import type { Delivery } from './process-host.ts';
import { bytesOf, textOf, type GuestApi, type GuestCode } from './testing.ts';

/** Answers every request with its body in capitals. */
export const shout: GuestCode = async (guest) => {
  for (;;) {
    const { body } = await guest.request();
    await guest.respond(body.toUpperCase());
  }
};

export const blob = (text: string, mime?: string): LazyLoadBlob => ({ mime, bytes: bytesOf(text) });

/** The body as text; of a send error, its kind. */
export const bodyOf = (delivery: Delivery): string => {
  if (delivery.kind !== 'message') return `error ${delivery.error.kind}`;
  const { message } = delivery;
  return textOf(message.kind === 'request' ? message.request.body : message.response.body);
};

/** What `get-blob` gives. */
export const blobText = (guest: GuestApi): string | undefined => {
  const got = guest.host.getBlob();
  return got === undefined ? undefined : textOf(got.bytes);
};

/** What `last-blob` gives. */
export const lastText = (guest: GuestApi): string | undefined => {
  const got = guest.host.lastBlob();
  return got === undefined ? undefined : textOf(got.bytes);
};
