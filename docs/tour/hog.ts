export function init(): void {
  for (;;);
}
