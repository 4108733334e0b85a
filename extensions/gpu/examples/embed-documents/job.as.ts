/**
 * Embeds documents and finds which are alike: each line of `documents.txt` becomes 128 numbers (hashed words, weighted by how rare they are), and
 * `similar.json` says for each its nearest neighbour. Integers only. AssemblyScript.
 */
import { input, output, outputText, print } from 'job';

const SIZE = 128;

export function main(): void {
  const text = String.UTF8.decode(input('documents.txt').buffer);
  const lines = text.split('\n').filter((line) => line.length > 0);
  const words = lines.map<string[]>((line) => wordsOf(line));
  const seenIn = new Map<string, i32>();
  for (let i = 0; i < words.length; i++) {
    const seen = new Set<string>();
    for (let j = 0; j < words[i].length; j++) seen.add(words[i][j]);
    const list = seen.values();
    for (let j = 0; j < list.length; j++) seenIn.set(list[j], (seenIn.has(list[j]) ? seenIn.get(list[j]) : 0) + 1);
  }

  const vectors = new Int16Array(lines.length * SIZE);
  for (let i = 0; i < lines.length; i++) {
    const sums = new Int32Array(SIZE);
    for (let j = 0; j < words[i].length; j++) {
      const hash = fnv(words[i][j]);
      const rarity = (lines.length * 16) / seenIn.get(words[i][j]);
      sums[hash % SIZE] += (hash & 0x80000000) != 0 ? rarity : -rarity;
    }
    normalise(sums, vectors, i * SIZE);
  }
  output('embeddings.i16', Uint8Array.wrap(vectors.buffer));

  let json = '[\n';
  for (let i = 0; i < lines.length; i++) {
    let best = -1;
    let most: i32 = i32.MIN_VALUE;
    for (let j = 0; j < lines.length; j++) {
      const likeness = i == j ? i32.MIN_VALUE : dot(vectors, i * SIZE, j * SIZE);
      if (likeness > most) {
        most = likeness;
        best = j;
      }
    }
    json += '  {"document":' + i.toString() + ',"nearest":' + best.toString() + ',"likeness":' + most.toString() + '}';
    json += i + 1 < lines.length ? ',\n' : '\n]\n';
  }
  outputText('similar.json', json);
  print(lines.length.toString() + ' documents embedded');
}

function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word = '';
  for (let i = 0; i <= line.length; i++) {
    const code = i < line.length ? line.charCodeAt(i) | 32 : 0;
    if (code >= 97 && code <= 122) word += String.fromCharCode(code);
    else if (word.length > 0) {
      words.push(word);
      word = '';
    }
  }
  return words;
}

function fnv(word: string): u32 {
  let hash: u32 = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = (hash ^ <u32>word.charCodeAt(i)) * 0x01000193;
  // Words of one letter more differ in the lowest bits only until they are mixed.
  hash ^= hash >> 16;
  return (hash * 0x85ebca6b) ^ (hash >> 13);
}

/** To length 1024, so that a likeness of 2^20 is the same document. */
function normalise(sums: Int32Array, into: Int16Array, at: i32): void {
  let squares: i64 = 0;
  for (let i = 0; i < SIZE; i++) squares += <i64>sums[i] * <i64>sums[i];
  const length = root(squares);
  for (let i = 0; i < SIZE; i++) into[at + i] = length == 0 ? 0 : <i16>((<i64>sums[i] * 1024) / length);
}

function root(square: i64): i64 {
  let low: i64 = 0;
  let high: i64 = 3037000499;
  while (low < high) {
    const middle = (low + high + 1) / 2;
    if (middle * middle <= square) low = middle;
    else high = middle - 1;
  }
  return low;
}

function dot(vectors: Int16Array, one: i32, other: i32): i32 {
  let sum = 0;
  for (let i = 0; i < SIZE; i++) sum += <i32>vectors[one + i] * <i32>vectors[other + i];
  return sum;
}
