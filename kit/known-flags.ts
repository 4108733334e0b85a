/** citty takes whatever comes; a flag with a slip in it is not to do something else. */

interface Flag {
  readonly type?: string;
  readonly alias?: string | readonly string[];
}

/**
 * @param args  as citty read them
 * @param known  the command's own
 * @returns the first one that the command does not have
 */
export function unknownFlag(
  args: object,
  known: Readonly<Record<string, Flag>>,
): string | undefined {
  const camel = (name: string): string =>
    name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const names = Object.entries(known).flatMap(([name, { alias = [] }]) => [name].concat(alias));
  const all = new Set(['_', ...names, ...names.map(camel)]);
  return Object.keys(args).find((name) => !all.has(name));
}
