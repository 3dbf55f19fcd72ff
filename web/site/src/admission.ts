// How this page is let in: the token that its address came with, and the viewer session that the server made of it. Both are kept for this
// tab only, so that a reload goes on as the same viewer: a token may be for one use.

const TOKEN = "token";
const SESSION = "session";
const KEY = "headwater.admission.";

export class Admission {
  readonly #playbackUrl: string;
  readonly #key: string;
  readonly #storage: Storage | undefined;
  #token: string | undefined;
  #viewer: string | undefined;

  constructor(page: URL, playbackUrl: string, channelId: string, storage: () => Storage = () => sessionStorage) {
    this.#playbackUrl = playbackUrl;
    this.#key = KEY + channelId;
    try {
      this.#storage = storage();
    } catch {
      // Storage is blocked on this page.
    }
    const given = page.searchParams.get(TOKEN) || undefined;
    const [token, viewer] = this.#kept();
    this.#token = given ?? token;
    // A new token is for somebody else, or for more.
    this.#viewer = given === undefined || given === token ? viewer : undefined;
    this.#keep();
  }

  /** What to play. */
  url(): string {
    const url = new URL(this.#playbackUrl);
    if (this.#token !== undefined) url.searchParams.set(TOKEN, this.#token);
    if (this.#viewer !== undefined) url.searchParams.set(SESSION, this.#viewer);
    return url.href;
  }

  /** The server named the viewer. */
  became(viewer: string | undefined): void {
    if (viewer === undefined || viewer === this.#viewer) return;
    this.#viewer = viewer;
    this.#keep();
  }

  #kept(): readonly (string | undefined)[] {
    try {
      return (this.#storage?.getItem(this.#key) ?? "").split(" ").map((word) => word || undefined);
    } catch {
      return [];
    }
  }

  #keep(): void {
    if (this.#token === undefined && this.#viewer === undefined) return;
    try {
      this.#storage?.setItem(this.#key, `${this.#token ?? ""} ${this.#viewer ?? ""}`);
    } catch {
      // For the page's life then.
    }
  }
}

/** The page's address without its token, which is not for the address bar, bookmarks and those who are sent a link. */
export function withoutToken(page: URL): string {
  const url = new URL(page);
  url.searchParams.delete(TOKEN);
  return url.href;
}
