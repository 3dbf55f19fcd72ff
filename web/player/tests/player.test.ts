import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ErrorType, HeadwaterEventType, PlayerEventType, PlayerState } from "../src/api";
import * as sdk from "../src/index";
import { Bench, URL_MASTER, addresses } from "./fakes";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const STATES = Object.values(PlayerState);

test("the module has the names of IVS' web player", () => {
  expect(Object.keys(sdk)).toEqual(
    expect.arrayContaining(["create", "isPlayerSupported", "getVersion", "PlayerState", "PlayerEventType", "MetadataEventType", "MetadataID3Type", "ErrorType", "LogLevel", "AdRollType", "MediaPlayer"]),
  );
  expect(typeof sdk.isPlayerSupported).toBe("boolean");
  expect(sdk.PlayerState.PLAYING).toBe("Playing");
  expect(sdk.PlayerEventType.TEXT_METADATA_CUE).toBe("PlayerTextMetadataCue");
});

test("every documented method is there, and answers with its type before anything is loaded", () => {
  const { player } = new Bench();
  const known = {
    isPaused: "boolean", isMuted: "boolean", isAutoplay: "boolean", isAutoQualityMode: "boolean", isLiveLowLatency: "boolean",
    getVolume: "number", getPlaybackRate: "number", getPosition: "number", getDuration: "number", getBufferDuration: "number",
    getLiveLatency: "number", getSyncTime: "number", getDisplayWidth: "number", getDisplayHeight: "number", getBuffered: "object",
    getState: "string", getQualities: "object", getQuality: "object", getSessionId: "undefined", getChannelMetadata: "object",
    getVersion: "string", getTextTracks: "object", getTextTrack: "object", getHTMLVideoElement: "object",
  } as const;
  for (const [name, type] of Object.entries(known)) {
    expect([name, typeof player[name as keyof typeof known]()]).toEqual([name, type]);
  }
  for (const name of ["addEventListener", "removeEventListener", "attachHTMLVideoElement", "load", "updateLoadConfiguration", "play", "pause", "seekTo", "delete", "setMuted", "setVolume", "setAutoplay", "setPlaybackRate", "setAutoQualityMode", "setLiveLowLatencyEnabled", "setRebufferToLive", "setLogLevel", "setRequestCredentials", "setInitialBufferDuration", "setQuality", "setAutoMaxQuality", "setAutoMaxBitrate", "setAutoMaxVideoSize", "setTextTrack"] as const) {
    expect([name, typeof player[name]]).toEqual([name, "function"]);
  }
});

test("play before load is an intent: Ready, Buffering, Playing", () => {
  const bench = new Bench().listen(...STATES);
  bench.player.play();
  bench.player.load(URL_MASTER);
  expect(bench.player.getState()).toBe("Idle");
  bench.moves();
  expect(bench.heard).toEqual(["Ready", "Buffering", "Playing"]);
});

test("a pause is Idle, and playing again is Playing", () => {
  const bench = new Bench().playing().listen(...STATES);
  bench.player.pause();
  expect(bench.player.isPaused()).toBe(true);
  bench.player.play();
  bench.video.tell("playing");
  expect(bench.heard).toEqual(["Idle", "Buffering", "Playing"]);
});

test("an interruption is told as Buffering and REBUFFERING, the first filling is not", () => {
  const bench = new Bench().listen(PlayerEventType.REBUFFERING, PlayerState.BUFFERING).playing();
  expect(bench.heard).toEqual(["Buffering"]);
  bench.waits();
  expect(bench.heard).toEqual(["Buffering", "Buffering", "PlayerRebuffering"]);
});

test("an offline channel is an error as IVS tells it", () => {
  const bench = new Bench().listen(PlayerEventType.ERROR);
  bench.player.load(URL_MASTER);
  bench.engine.news.failed({ kind: "network", source: "MasterPlaylist", status: 404, message: "manifestLoadError (404)" });
  expect(bench.heard).toEqual([
    `PlayerError ${JSON.stringify({ source: "MasterPlaylist", type: "ErrorNotAvailable", code: 404, message: "manifestLoadError (404)" })}`,
  ]);
  expect(bench.player.getState()).toBe("Idle");
  expect(bench.engine.calls).toContain("destroy");
});

test("what is no URL is an error, not an exception", () => {
  const bench = new Bench().listen(PlayerEventType.ERROR);
  bench.player.load("not a url");
  expect(bench.heard[0]).toContain(ErrorType.INVALID_PARAMETER);
  expect(bench.engines).toHaveLength(0);
});

test("an ended broadcast is Ended, and stays so without watch", async () => {
  const bench = new Bench().playing().listen(...STATES);
  bench.engine.news.finished();
  expect(bench.player.getState()).toBe("Playing");
  bench.video.ended = true;
  bench.video.tell("pause");
  bench.video.tell("ended");
  expect(bench.heard).toEqual(["Ended"]);
  await pass(60_000);
  expect(bench.probes).toBe(0);
});

test("a finished playlist whose last part never comes has ended where the picture waits", async () => {
  const bench = new Bench().playing().listen(PlayerState.ENDED);
  bench.engine.news.finished();
  bench.engine.isLive = false;
  bench.video.duration = 12;
  bench.video.currentTime = 9;
  bench.waits();
  await pass(2000);
  expect(bench.heard).toEqual([]);
  bench.video.currentTime = 11.7;
  await pass(1000);
  expect(bench.heard).toEqual(["Ended"]);
});

describe("watching", () => {
  test("phases from offline to live, lost, ended and the next broadcast", async () => {
    const bench = new Bench({ watch: true }).listen(HeadwaterEventType.PHASE_CHANGED);
    bench.player.play();
    bench.player.load(URL_MASTER);
    bench.server = { status: 404, session: "", addresses: [] };
    bench.engine.news.failed({ kind: "network", source: "MasterPlaylist", status: 404, message: "" });
    await pass(12_000);
    bench.server = { status: 200, session: "one", addresses: addresses("one") };
    await pass(5000);
    bench.moves("one");
    bench.waits();
    await pass(500);
    bench.moves("one");
    bench.video.ended = true;
    bench.video.tell("ended");
    bench.video.ended = false;
    bench.server = { status: 200, session: "two", addresses: addresses("two") };
    await pass(5000);
    bench.moves("two");
    expect(bench.heard.map((line) => line.split(" ")[1])).toEqual([
      "connecting", "offline", "connecting", "live", "reconnecting", "live", "ended", "connecting", "live",
    ]);
    expect(bench.engines).toHaveLength(3);
  });

  test("the publisher's absence does not load anew", async () => {
    const bench = new Bench({ watch: true }).playing();
    bench.waits();
    await pass(25_000);
    bench.moves("one");
    expect(bench.engines).toHaveLength(1);
    expect(bench.player.getPhase()).toBe("live");
  });
});

describe("cues", () => {
  const cue = (startTime: number, id = "c1") => ({ id, clock: "media" as const, startTime, endTime: startTime, text: "hello", owner: "metadata.live-video.net" });

  test("come at the playhead, once, in IVS' form", () => {
    const bench = new Bench().playing().listen(PlayerEventType.TEXT_METADATA_CUE);
    bench.video.playTo(10);
    bench.engine.news.cue(cue(11));
    bench.engine.news.cue(cue(11));
    bench.video.playTo(10.9);
    expect(bench.heard).toEqual([]);
    bench.video.playTo(11.05);
    bench.video.playTo(12);
    expect(bench.heard).toEqual([
      `PlayerTextMetadataCue ${JSON.stringify({ type: "TextMetadataCue", startTime: 11, endTime: 11, description: "", text: "hello", owner: "metadata.live-video.net" })}`,
    ]);
  });

  test("have a timer finer than the element's events", async () => {
    const bench = new Bench().playing().listen(PlayerEventType.TEXT_METADATA_CUE);
    bench.video.playTo(10);
    bench.engine.news.cue(cue(10.12));
    bench.video.currentTime = 10.12;
    await pass(121);
    expect(bench.heard).toHaveLength(1);
  });

  test("wait while nothing plays", () => {
    const bench = new Bench().playing().listen(PlayerEventType.TEXT_METADATA_CUE);
    bench.video.playTo(10);
    bench.waits();
    bench.engine.news.cue(cue(10.5));
    bench.video.playTo(11);
    expect(bench.heard).toEqual([]);
    bench.moves();
    bench.video.playTo(11);
    expect(bench.heard).toHaveLength(1);
  });
});

describe("sound and autoplay", () => {
  test("a refusal with sound becomes playing without", async () => {
    const bench = new Bench().listen(PlayerEventType.AUDIO_BLOCKED, PlayerEventType.MUTED_CHANGED, PlayerEventType.PLAYBACK_BLOCKED);
    bench.video.refusal = "with sound";
    bench.player.play();
    bench.player.load(URL_MASTER);
    bench.engine.news.ready("one", addresses("one"));
    await pass(0);
    expect(bench.heard).toEqual(["PlayerMutedChanged", "PlayerAudioBlocked"]);
    expect(bench.player.isMuted()).toBe(true);
    expect(bench.player.isPaused()).toBe(false);
  });

  test("a refusal without sound is told", async () => {
    const bench = new Bench().listen(PlayerEventType.PLAYBACK_BLOCKED);
    bench.video.refusal = "always";
    bench.player.play();
    bench.player.load(URL_MASTER);
    bench.engine.news.ready("one", addresses("one"));
    await pass(0);
    expect(bench.heard).toEqual(["PlayerPlaybackBlocked"]);
    expect(bench.player.isPaused()).toBe(true);
  });

  test("autoplay plays when it is ready", () => {
    const bench = new Bench();
    bench.player.setAutoplay(true);
    bench.player.load(URL_MASTER);
    bench.engine.news.ready("one", addresses("one"));
    expect(bench.video.paused).toBe(false);
  });

  test("volume stays within its range", () => {
    const bench = new Bench().listen(PlayerEventType.VOLUME_CHANGED);
    bench.player.setVolume(7);
    bench.player.setVolume(-1);
    expect(bench.heard).toEqual(["PlayerVolumeChanged 0"]);
  });
});

describe("latency", () => {
  test("is the age of the picture by its date", () => {
    const bench = new Bench().playing();
    bench.engine.sync = Date.now() - 850;
    expect(bench.player.getLiveLatency()).toBeCloseTo(0.85);
    expect(bench.player.getSyncTime()).toBe(Date.now() - 850);
  });

  test("is the distance to the edge when the clocks disagree", () => {
    const bench = new Bench().playing();
    bench.engine.sync = Date.now() + 60_000;
    bench.engine.liveEdge = { edge: 12, holdBack: 0.6 };
    bench.video.currentTime = 11;
    expect(bench.player.getLiveLatency()).toBeCloseTo(1);
  });

  test("is held by rate", async () => {
    const bench = new Bench().playing();
    bench.engine.liveEdge = { edge: 11.6, holdBack: 0.6 };
    bench.video.currentTime = 10.7;
    bench.video.ranges = [[5, 11.5]];
    await pass(300);
    expect(bench.video.playbackRate).toBe(1.1);
    expect(bench.video.currentTime).toBe(10.7);
    expect(bench.player.getPlaybackRate()).toBe(1);
    bench.video.currentTime = 11;
    await pass(300);
    expect(bench.video.playbackRate).toBe(1);
  });

  test("begins at a keyframe, and takes its distance when what lies between has come", async () => {
    const bench = new Bench().playing();
    bench.engine.liveEdge = { edge: 12, holdBack: 0.6 };
    bench.video.currentTime = 10;
    bench.video.ranges = [[10, 10.4]];
    await pass(300);
    expect([bench.video.currentTime, bench.video.playbackRate]).toEqual([10, 1]);
    bench.video.ranges = [[10, 12]];
    await pass(300);
    expect(bench.video.currentTime).toBeCloseTo(11.4);
    // Later it is no beginning any more: the same distance is made good by rate.
    bench.engine.liveEdge = { edge: 13, holdBack: 0.6 };
    bench.video.ranges = [[10, 13]];
    await pass(300);
    expect(bench.video.currentTime).toBeCloseTo(11.4);
    expect(bench.video.playbackRate).toBe(1.1);
  });

  test("far behind is left by a jump, unless the viewer went there", async () => {
    const bench = new Bench().playing();
    bench.engine.liveEdge = { edge: 60, holdBack: 0.6 };
    bench.video.ranges = [[5, 60]];
    bench.video.currentTime = 10;
    await pass(300);
    expect(bench.video.currentTime).toBeCloseTo(59.4);
    bench.player.seekTo(20);
    await pass(1000);
    expect(bench.video.currentTime).toBe(20);
    bench.player.seekToLive();
    expect(bench.video.currentTime).toBeCloseTo(59.4);
  });

  test("what does not come is left out, while newer media is there", async () => {
    const bench = new Bench().playing();
    bench.video.currentTime = 10;
    bench.video.ranges = [[5, 10]];
    bench.engine.liveEdge = { edge: 11, holdBack: 0.6 };
    bench.waits();
    await pass(5000);
    expect(bench.video.currentTime).toBe(10);
    bench.engine.liveEdge = { edge: 13, holdBack: 0.6 };
    await pass(300);
    expect(bench.video.currentTime).toBeCloseTo(12.4 - 0.15, 1);
  });

  test("an engine that fetches nothing any more is replaced", async () => {
    const bench = new Bench().playing();
    bench.waits();
    await pass(20_000);
    expect(bench.engines).toHaveLength(1);
    bench.engine.quiet = 21_000;
    await pass(10_000);
    expect(bench.engines).toHaveLength(2);
  });

  test("a viewer's own rate is left alone", async () => {
    const bench = new Bench().playing();
    bench.player.setPlaybackRate(0.5);
    bench.engine.liveEdge = { edge: 12, holdBack: 0.6 };
    bench.video.currentTime = 10;
    bench.video.ranges = [[5, 12]];
    await pass(1000);
    expect(bench.video.playbackRate).toBe(0.5);
  });
});

test("limits of the automatic quality are joined", () => {
  const bench = new Bench({ isQualitySupported: (quality) => quality.height !== 720 }).playing();
  expect(bench.player.getQualities().map((quality) => quality.name)).toEqual(["360p"]);
  bench.player.setAutoMaxVideoSize(1920, 1080);
  bench.player.setAutoMaxBitrate(1_000_000);
  expect(bench.engine.levels.map(bench.engine.allowed!)).toEqual([true, false]);
});

test("a chosen quality ends the automatic choice, and the mode gives it back", () => {
  const bench = new Bench().playing();
  bench.player.setQuality(bench.player.getQualities()[1]!);
  expect(bench.player.isAutoQualityMode()).toBe(false);
  expect(bench.player.getQuality().name).toBe("720p");
  bench.player.setAutoQualityMode(true);
  expect(bench.player.isAutoQualityMode()).toBe(true);
});

test("a listener's exception does not keep the news from the others", () => {
  const reported = vi.fn();
  vi.stubGlobal("reportError", reported);
  const bench = new Bench();
  bench.player.addEventListener(PlayerState.READY, () => {
    throw new Error("theirs");
  });
  bench.listen(PlayerState.READY).playing();
  expect(bench.heard).toEqual(["Ready"]);
  expect(reported).toHaveBeenCalledOnce();
  vi.unstubAllGlobals();
});

test("news of a replaced engine is ignored", () => {
  const bench = new Bench().playing();
  const [first] = bench.engines;
  bench.player.load(URL_MASTER);
  bench.listen(...STATES, PlayerEventType.ERROR);
  first!.news.ready("one", addresses("one"));
  first!.news.failed({ kind: "unsupported", source: "Source", status: 0, message: "" });
  expect(bench.heard).toEqual([]);
});

test("another element takes over the stream", () => {
  const bench = new Bench().playing();
  const other = new (bench.video.constructor as new () => typeof bench.video)();
  bench.player.attachHTMLVideoElement(other as unknown as HTMLVideoElement);
  expect(bench.engines).toHaveLength(2);
  expect(bench.player.getHTMLVideoElement()).toBe(other);
  bench.listen(...STATES);
  bench.video.tell("playing");
  expect(bench.heard).toEqual([]);
});

test("after delete nothing is heard, nothing runs and calls do nothing", async () => {
  const bench = new Bench({ watch: true }).playing().listen(...STATES, PlayerEventType.TIME_UPDATE);
  bench.waits();
  bench.heard.length = 0;
  bench.player.delete();
  bench.player.delete();
  expect(vi.getTimerCount()).toBe(0);
  bench.video.tell("playing");
  bench.video.playTo(20);
  bench.player.play();
  bench.player.load(URL_MASTER);
  await pass(60_000);
  expect(bench.heard).toEqual([]);
  expect(bench.engines).toHaveLength(1);
  expect(bench.engine.calls.filter((call) => call === "destroy")).toHaveLength(1);
});

describe("a token for one use", () => {
  const URL_PRIVATE = `${URL_MASTER}?token=a.b.c`;
  const named = `${URL_PRIVATE}&session=viewer`;

  test("is spent by the first playlist alone: probes and reloads go on as the viewer that it named", async () => {
    const bench = new Bench({ watch: true });
    bench.player.play();
    bench.player.load(URL_PRIVATE);
    bench.moves();
    expect(bench.player.getViewerSession()).toBe("viewer");
    bench.engine.news.failed({ kind: "media", source: "Decoder", status: 0, message: "" });
    bench.engine.news.failed({ kind: "network", source: "Segment", status: 0, message: "" });
    await pass(1000);
    expect(bench.probed).toEqual([named]);
    bench.server = { status: 200, session: "two", addresses: addresses("two", "next") };
    bench.engine.news.failed({ kind: "network", source: "Segment", status: 404, message: "" });
    await pass(2000);
    expect(bench.probed.at(-1)).toBe(named);
    // The probe may have spent another use; what it named is loaded.
    expect(bench.engine.calls[0]).toBe(`load ${URL_PRIVATE}&session=next`);
  });

  test("and the same address, asked for by a person again, is the same viewer; another is another", () => {
    const bench = new Bench().playing();
    bench.player.load(URL_MASTER);
    expect(bench.engine.calls[0]).toBe(`load ${URL_MASTER}?session=viewer`);
    bench.player.load(URL_PRIVATE);
    expect(bench.engine.calls[0]).toBe(`load ${URL_PRIVATE}`);
    expect(bench.player.getViewerSession()).toBeUndefined();
  });

  test("a broadcast that is found by a probe is loaded as the viewer that the probe became", async () => {
    const bench = new Bench({ watch: true });
    bench.player.play();
    bench.player.load(URL_PRIVATE);
    bench.server = { status: 404, session: "", addresses: [] };
    bench.engine.news.failed({ kind: "network", source: "MasterPlaylist", status: 404, message: "" });
    await pass(6000);
    expect(bench.probed.every((url) => url === URL_PRIVATE)).toBe(true);
    bench.server = { status: 200, session: "one", addresses: addresses("one") };
    await pass(6000);
    expect(bench.engine.calls).toEqual([`load ${named}`]);
  });
});

describe("a ladder that changes while the picture waits", () => {
  const listed = (...renditions: string[]): string[] => renditions.map((name) => `http://web.test/media/one/${name}/media.m3u8?v=x`);
  const waits = async (playing: string): Promise<Bench> => {
    const bench = new Bench({ watch: true });
    bench.player.play();
    bench.player.load(URL_MASTER);
    bench.engine.news.ready("all", listed("source", "480p30", "160p30"));
    bench.engine.variant = listed(playing)[0];
    bench.video.tell("playing");
    bench.waits();
    bench.server = { status: 200, session: "fewer", addresses: listed("source", "160p30") };
    await pass(4000);
    return bench;
  };

  test("is no other broadcast while what is played is still in it", async () => {
    expect((await waits("source")).engines).toHaveLength(1);
  });

  test("is loaded anew when what was played is gone", async () => {
    expect((await waits("480p30")).engines).toHaveLength(2);
  });
});
