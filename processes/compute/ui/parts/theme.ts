/** Light or dark, as was chosen on the homepage of this node; as the system says where nothing was, or the homepage is elsewhere. */

/** Where the homepage keeps it. */
const KEY = 'homepage-theme';

/** Shows the theme, now and when another is chosen. */
export function followTheme(): void {
  show();
  addEventListener('storage', ({ key }) => {
    if (key === KEY || key === null) show();
  });
}

function show(): void {
  const { dataset } = document.documentElement;
  const chosen = stored();
  if (chosen === 'light' || chosen === 'dark') dataset['theme'] = chosen;
  else delete dataset['theme'];
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage is off in this browser.
    return null;
  }
}
