/** The tile's picture. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">' +
  '<rect x="4" y="4" width="56" height="56" rx="14" fill="#2f6b57"/>' +
  '<g fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" stroke-linejoin="round">' +
  '<path d="M15 22l5 5 8-10M36 22h13"/><path d="M15 42l5 5 8-10M36 43h13" opacity=".6"/></g></svg>';
