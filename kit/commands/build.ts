/** `kit build [DIR]`: kit.md §2.2, for packages in the languages we build. */
import { defineCommand } from 'citty';
import { buildPackage, type BuildReport, type ProcessReport } from '../build/package.ts';
import { fail, say, size } from '../report.ts';

export const build = defineCommand({
  meta: { name: 'build', description: 'Build the processes of a package and zip it.' },
  args: {
    dir: { type: 'positional', description: 'package folder', default: '.', required: false },
    force: { type: 'boolean', alias: 'f', description: 'build even what did not change' },
    include: { type: 'string', alias: 'i', description: 'only these processes, comma-separated' },
    exclude: { type: 'string', alias: 'e', description: 'not these processes, comma-separated' },
    json: { type: 'boolean', description: 'report as one JSON object' },
  },
  async run({ args }) {
    const json = args.json === true;
    try {
      const report = await buildPackage(args.dir, {
        ...(args.force === true ? { force: true } : {}),
        ...(args.include === undefined ? {} : { include: names(args.include) }),
        ...(args.exclude === undefined ? {} : { exclude: names(args.exclude) }),
        onProcess: (process) => {
          if (!json) say(false, processLine(process), undefined);
        },
      });
      say(json, summary(report), report);
    } catch (error) {
      fail(json, error);
    }
  },
});

function processLine({ name, language, bytes, cached, wallMs }: ProcessReport): string {
  const how = cached ? 'unchanged' : `${Math.round(wallMs)} ms`;
  return `  ${name.padEnd(20)} ${language.padEnd(14)} ${size(bytes).padStart(10)}  ${how}`;
}

function summary(report: BuildReport): string {
  const state = report.upToDate ? 'Build up-to-date.\n' : '';
  return `${state}${report.packageId} -> ${report.zip}\npackage zip hash: ${report.zipHash}`;
}

function names(list: string): string[] {
  return list.split(',').map((name) => name.trim());
}
