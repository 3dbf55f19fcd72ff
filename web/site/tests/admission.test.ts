import { expect, test } from "vitest";
import { Admission, withoutToken } from "../src/admission";

class FakeStorage extends Map<string, string> {
  getItem(key: string): string | null {
    return this.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.set(key, value);
  }
}

const URL_PLAYBACK = "http://w/api/video/v1/x.m3u8";
const admission = (page: string, storage: FakeStorage): Admission => new Admission(new URL(page), URL_PLAYBACK, "c", () => storage as unknown as Storage);

test("an open channel is played as it is named, and goes on as the same viewer", () => {
  const tab = new FakeStorage();
  const first = admission("http://s/", tab);
  expect(first.url()).toBe(URL_PLAYBACK);
  first.became(undefined);
  first.became("v1");
  expect(admission("http://s/", tab).url()).toBe(`${URL_PLAYBACK}?session=v1`);
});

test("the page's token opens a private one, also after a reload, with the session that came of it", () => {
  const tab = new FakeStorage();
  const first = admission("http://s/?token=a.b.c", tab);
  expect(first.url()).toBe(`${URL_PLAYBACK}?token=a.b.c`);
  first.became("v1");
  for (const page of ["http://s/", "http://s/?token=a.b.c"]) {
    expect(admission(page, tab).url()).toBe(`${URL_PLAYBACK}?token=a.b.c&session=v1`);
  }
  expect(admission("http://s/?token=d.e.f", tab).url()).toBe(`${URL_PLAYBACK}?token=d.e.f`);
  expect(admission("http://s/", tab).url()).toBe(`${URL_PLAYBACK}?token=d.e.f`);
});

test("without storage it holds for the page's life", () => {
  const blocked = new Admission(new URL("http://s/?token=a"), URL_PLAYBACK, "c", () => {
    throw new DOMException("blocked", "SecurityError");
  });
  blocked.became("v1");
  expect(blocked.url()).toBe(`${URL_PLAYBACK}?token=a&session=v1`);
});

test("the token leaves the address bar, the rest stays", () => {
  expect(withoutToken(new URL("http://s/website/x/?a=1&token=a.b.c#here"))).toBe("http://s/website/x/?a=1#here");
});
