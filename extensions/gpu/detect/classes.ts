/** Classes of GPUs, by which prices and requirements are said, and what old drivers do not tell of them. */

/** By the end of a name: compute capabilities, for drivers that do not know the question. */
const CAPABILITIES: readonly (readonly [name: RegExp, capability: string])[] = [
  [/\b(B200|GB200)\b/, '10.0'],
  [/\bRTX (PRO \d+|50\d0)/, '12.0'],
  [/\b(H100|H200|H800|GH200)\b/, '9.0'],
  [/\b(L4|L40S?|RTX 40\d0|RTX \d000 Ada)\b/, '8.9'],
  [/\b(A10G?|A2|A16|A40|RTX 30\d0|RTX A\d000)\b/, '8.6'],
  [/\b(A100|A30|A800)\b/, '8.0'],
  [/\b(T4|RTX 20\d0|GTX 16\d0|Quadro RTX \d000)\b/, '7.5'],
  [/\bV100\b/, '7.0'],
  [/\b(P4|P40|GTX 10\d0|TITAN Xp?)\b/, '6.1'],
  [/\bP100\b/, '6.0'],
];

/** The compute capability of a card by its name; undefined for one that is not in the table. */
export function capabilityOf(name: string): string | undefined {
  return CAPABILITIES.find(([pattern]) => pattern.test(name))?.[1];
}

const NOISE =
  /\b(nvidia|geforce|amd|instinct|radeon|intel\(r\)|intel|data center gpu|graphics|tesla|apple)\b/gi;

/** `NVIDIA GeForce RTX 4090` is `rtx-4090`. */
export function classOf(name: string): string {
  const words = name
    .replaceAll(/\((r|tm)\)/gi, '')
    .replaceAll(NOISE, ' ')
    .toLowerCase()
    .match(/[a-z0-9]+/g);
  return (words ?? ['unknown']).join('-').slice(0, 64);
}
