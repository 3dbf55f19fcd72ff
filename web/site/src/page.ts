// The page's elements by their ids: a missing one is a defect of this build, found at the first load.

export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} with the id ${id}`);
  return element;
}

/** Gives a button another of the page's icons. */
export function icon(button: Element, name: string): void {
  const use = button.querySelector("use");
  if (use?.getAttribute("href") !== `#i-${name}`) use?.setAttribute("href", `#i-${name}`);
}

/** Leaves an element alone that already says it: a screen reader repeats what is written again. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function label(element: Element, text: string): void {
  if (element.getAttribute("aria-label") !== text) element.setAttribute("aria-label", text);
}
