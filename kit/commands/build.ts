/** `kit build [DIR]`: kit.md §2.2, for packages in the languages we build. */
import { defineCommand } from 'citty';
import { buildPackage, type BuildReport, type ProcessReport } from '../build/package.ts';
import { BuildError } from '../build/build-error.ts';
import type { UiReport } from '../build/ui.ts';
import { fail, say, size } from '../report.ts';

export const build = defineCommand({
  meta: { name: 'build', description: 'Build the processes and the ui of a package and zip it.' },
  args: {
    dir: { type: 'positional', description: 'package folder', default: '.', required: false },
    force: { type: 'boolean', alias: 'f', description: 'build even what did not change' },
    include: { type: 'string', alias: 'i', description: 'only these processes, comma-separated' },
    exclude: { type: 'string', alias: 'e', description: 'not these processes, comma-separated' },
    ui: { type: 'boolean', default: true, negativeDescription: 'leave the ui folder alone' },
    'ui-only': { type: 'boolean', description: 'build only the ui folder' },
    json: { type: 'boolean', description: 'report as one JSON object' },
  },
  async run({ args }) {
    const json = args.json === true;
    try {
      if (!args.ui && args['ui-only'] === true) {
        throw new BuildError('bad-flags', 'Cannot set both --no-ui and --ui-only');
      }
      const report = await buildPackage(args.dir, {
        ...(args.force === true ? { force: true } : {}),
        ui: args.ui,
        processes: args['ui-only'] !== true,
        ...(args.include === undefined ? {} : { include: names(args.include) }),
        ...(args.exclude === undefined ? {} : { exclude: names(args.exclude) }),
        onUi: (ui) => {
          if (!json) say(false, uiLine(ui), undefined);
        },
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

function uiLine({ files, cached, wallMs }: UiReport): string {
  const how = cached ? 'unchanged' : `${Math.round(wallMs)} ms`;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const what = `${files.length} files`;
  return `  ${'ui'.padEnd(20)} ${what.padEnd(14)} ${size(bytes).padStart(10)}  ${how}`;
}

function summary(report: BuildReport): string {
  const state = report.upToDate ? 'Build up-to-date.\n' : '';
  return `${state}${report.packageId} -> ${report.zip}\npackage zip hash: ${report.zipHash}`;
}

function names(list: string): string[] {
  return list.split(',').map((name) => name.trim());
}
