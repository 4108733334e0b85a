import { expect, test } from 'vitest';
import { type JobNews, NEWS_MAX, readNews } from './job-news.ts';

const leased = { jobId: `0x${'ab'.repeat(32)}`, lease: 'cd'.repeat(16) };

test('news are read as they were written, and their logs are all of the bytes', () => {
  const news: readonly JobNews[] = [
    { ...leased, accepted: { started: true }, state: 'started', log: { seq: 0, bytes: 2 } },
    { ...leased, rejected: { code: 'busy', message: '' } },
    { ...leased, log: { seq: 4, bytes: 1 }, result: { end: { receipt: {} }, outputs: [] } },
    { ...leased, lost: { code: 'INTERNAL', message: 'm' } },
  ];
  const text = JSON.stringify(news);
  expect(readNews(text, new Uint8Array(3))).toEqual(news);
  expect(readNews(text, new Uint8Array(2))).toBeUndefined();
  expect(readNews(text, new Uint8Array(4))).toBeUndefined();
});

test('T7 what is no list of news is none, and never throws', () => {
  for (const wrong of [
    '',
    '{}',
    'null',
    '[null]',
    '[[]]',
    '[{"jobId":"a"}]',
    JSON.stringify([{ ...leased, accepted: { started: 1 } }]),
    JSON.stringify([{ ...leased, accepted: [] }]),
    JSON.stringify([{ ...leased, state: 1 }]),
    JSON.stringify([{ ...leased, log: { seq: -1, bytes: 0 } }]),
    JSON.stringify([{ ...leased, log: { seq: 0, bytes: 0.5 } }]),
    JSON.stringify([{ ...leased, result: { end: [], outputs: [] } }]),
    JSON.stringify([{ ...leased, result: { end: {}, outputs: {} } }]),
    JSON.stringify([{ ...leased, lost: { code: 'a' } }]),
    JSON.stringify(Array.from({ length: NEWS_MAX + 1 }, () => leased)),
  ])
    expect([wrong.slice(0, 60), readNews(wrong, new Uint8Array())]).toEqual([
      wrong.slice(0, 60),
      undefined,
    ]);
  const most = Array.from({ length: NEWS_MAX }, () => leased);
  expect(readNews(JSON.stringify(most), new Uint8Array())).toHaveLength(NEWS_MAX);
});
