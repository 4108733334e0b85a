/** The tile's picture. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">' +
  '<rect x="4" y="4" width="56" height="56" rx="14" fill="#3d4cc9"/>' +
  '<g fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" stroke-linejoin="round">' +
  '<path d="M32 15v12M20 49V37a5 5 0 0 1 5-5h14a5 5 0 0 1 5 5v12"/>' +
  '<path d="M32 32v17" opacity=".6"/></g></svg>';
