/** What is bound at the node's HTTP server, and who answers each request (packages.md §14.2). */
import { type Context, NoResponse, packageOf } from '../../lib/index.ts';
import { drive, type Drive, openDrive } from '../../lib/vfs.ts';
import type { Apps } from './apps.ts';
import { page } from './pages.ts';
import { type Homepage, type Methods, notAllowed, routeFor, routesOf } from './routes.ts';
import {
  answer,
  bind,
  json,
  mimeOf,
  plain,
  type StaticContent,
  type WebAnswer,
  type WebRequest,
} from './web.ts';

/** All of them are the one document. */
const PAGES = ['/', '/processes', '/logs'];
const PAGE_FILE = 'ui/index.html';
/** Files of `ui/` that a browser asks for without its cookie, or that the login page shows. */
const OPEN_FILES: ReadonlySet<string> = new Set(['manifest.json', 'icon.svg', 'icon-180.png']);
/** Where pages made for the reference look for its logo; they find ours. */
const LOGO_PATHS = ['/hyperware.svg', '/Logomark%20Iris.svg', '/Logo%20Iris.svg'];
/** Where a stylesheet that was set is kept: not in `pkg`, which is replaced at every boot. */
const SETTINGS_DRIVE = 'settings';
const STYLESHEET = 'hyperware.css';

export class Site {
  readonly #homepage: Homepage;
  readonly #routes: Map<string, Methods>;
  /** Types of the files that the HTTP server answers by itself: HEAD is left to this process. */
  readonly #files = new Map<string, string>();

  private constructor(homepage: Homepage, apps: Apps) {
    this.#homepage = homepage;
    this.#routes = new Map(Object.entries(routesOf(homepage, apps)));
  }

  /** Binds everything. @throws what the HTTP server or the vfs refuses */
  static async open(homepage: Homepage, apps: Apps): Promise<Site> {
    const site = new Site(homepage, apps);
    const pkg = site.#package();
    const html = await pkg.read(PAGE_FILE);
    for (const path of PAGES) site.#routes.set(path, { GET: () => page(html) });
    const routes = [...site.#routes.keys()];
    await Promise.all([
      ...routes.map((path) => bind(homepage, path, { authenticated: true })),
      site.#bindTexts(),
      site.#bindFiles(pkg),
      site.#bindStylesheet(),
    ]);
    return site;
  }

  /** Answers a request. The HTTP server has seen to it that it is the owner's. */
  async serve(request: WebRequest, context: Context): Promise<void> {
    const answered = await this.#answer(request, context);
    if (answered === undefined) return;
    answer(context, request.method === 'HEAD' ? { ...answered, body: '' } : answered);
  }

  /** Serves another stylesheet from now on; an empty one brings back the package's own. */
  async setStylesheet(css: string): Promise<void> {
    const settings = await drive(this.#homepage, SETTINGS_DRIVE);
    if (css === '') await settings.remove(STYLESHEET);
    else await settings.write(STYLESHEET, css);
    await this.#bindStylesheet();
  }

  async #answer(request: WebRequest, context: Context): Promise<WebAnswer | undefined> {
    const methods = this.#routes.get(request.path);
    if (methods === undefined) return this.#unrouted(request);
    const found = routeFor(methods, request);
    if ('refusal' in found) return found.refusal;
    try {
      return await found.route(request, context);
    } catch (error) {
      if (!(error instanceof NoResponse)) throw error;
      return json(503, { error: `${error.target.process} does not answer` });
    }
  }

  #unrouted({ method, path }: WebRequest): WebAnswer {
    const mime = this.#files.get(path);
    if (mime === undefined) return plain(404, 'not found');
    if (method !== 'HEAD') return notAllowed(['GET', 'HEAD']);
    return { status: 200, headers: { 'Content-Type': mime }, body: '' };
  }

  async #bindTexts(): Promise<void> {
    const { node } = this.#homepage.our;
    const quoted = /^[\w.-]+$/.test(node) ? `'${node}'` : JSON.stringify(node);
    const texts = [
      ['/our', 'text/plain', node],
      ['/our.js', 'text/javascript', `window.our = {}; window.our.node = ${quoted};`],
      ['/amionline', 'text/plain', 'yes'],
    ] as const;
    const bytes = new TextEncoder();
    await Promise.all(
      texts.map(([path, mime, text]) =>
        this.#bindFile(path, { mime, bytes: bytes.encode(text) }, { authenticated: false }),
      ),
    );
  }

  /** The files of `ui/`, all but the page. */
  async #bindFiles(pkg: Drive): Promise<void> {
    const bound: Promise<void>[] = [];
    for await (const { path, kind } of pkg.list('ui', { recursive: true })) {
      if (kind !== 'File' || path === PAGE_FILE) continue;
      const name = path.slice('ui/'.length);
      const content = { mime: mimeOf(name), bytes: await pkg.read(path) };
      const authenticated = !OPEN_FILES.has(name);
      bound.push(this.#bindFile(`/${encodeURI(name)}`, content, { authenticated }));
      if (name !== 'icon.svg') continue;
      bound.push(
        ...LOGO_PATHS.map((logo) => this.#bindFile(logo, content, { authenticated: false })),
      );
    }
    await Promise.all(bound);
  }

  async #bindStylesheet(): Promise<void> {
    const settings = await drive(this.#homepage, SETTINGS_DRIVE);
    const from = (await settings.exists(STYLESHEET)) ? settings : this.#package();
    const content = { mime: mimeOf(STYLESHEET), bytes: await from.read(STYLESHEET) };
    await this.#bindFile(`/${STYLESHEET}`, content, { authenticated: false });
  }

  #bindFile(
    path: string,
    content: StaticContent,
    options: { readonly authenticated: boolean },
  ): Promise<void> {
    this.#files.set(path, content.mime);
    return bind(this.#homepage, path, { ...options, content });
  }

  #package(): Drive {
    return openDrive(this.#homepage, `/${packageOf(this.#homepage.our.process)}/pkg`);
  }
}
