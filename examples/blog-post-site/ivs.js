// A page for the API of Amazon IVS' web player. On AWS its script comes from player.live-video.net; here the server
// that streams serves one with the same names.
(function () {
  "use strict";

  // Replaced by the channel's address when the page is uploaded.
  const PLAYBACK_URL = "STREAM_PLAYBACK_URL";
  // How often a stream that is not there yet, or not any more, is tried again.
  const RETRY_MS = 3000;

  const video = document.getElementById("video");
  const state = document.getElementById("state");
  const quiz = document.getElementById("quiz");

  const script = document.createElement("script");
  script.src = new URL("/player/v1/headwater-player.js", PLAYBACK_URL).href;
  script.onload = start;
  script.onerror = function () { state.textContent = "The player cannot be loaded."; };
  document.head.append(script);

  function start() {
    const IVSPlayer = window.IVSPlayer;
    if (!IVSPlayer.isPlayerSupported) {
      state.textContent = "This browser cannot play the stream.";
      return;
    }
    const { PlayerState, PlayerEventType } = IVSPlayer;
    const player = IVSPlayer.create();
    player.attachHTMLVideoElement(video);

    player.addEventListener(PlayerState.PLAYING, function () { state.textContent = "Live"; });
    player.addEventListener(PlayerState.BUFFERING, function () { state.textContent = "Loading…"; });
    player.addEventListener(PlayerState.ENDED, function () { state.textContent = "The stream has ended."; });
    player.addEventListener(PlayerEventType.ERROR, function () { state.textContent = "The stream is offline."; });
    player.addEventListener(PlayerEventType.TEXT_METADATA_CUE, function (cue) {
      console.log("cue at", player.getPosition().toFixed(2), cue.text);
      ask(cue.text);
    });

    const load = function () {
      player.load(PLAYBACK_URL);
      player.play();
    };
    load();
    setInterval(function () {
      const now = player.getState();
      if (now === PlayerState.IDLE || now === PlayerState.ENDED) load();
    }, RETRY_MS);
  }

  function ask(text) {
    let asked;
    try {
      asked = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof asked.question !== "string" || !Array.isArray(asked.answers)) return;
    document.getElementById("question").textContent = asked.question;
    const buttons = asked.answers.map(function (answer, choice) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = answer;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", function () { answerWith(buttons, choice); });
      return button;
    });
    document.getElementById("answers").replaceChildren(...buttons);
    quiz.hidden = false;
  }

  // The answer goes to the open poll of the channel; the server counts each viewer once.
  async function answerWith(buttons, choice) {
    const interact = new URL("/interact/v1/", PLAYBACK_URL);
    const channel = PLAYBACK_URL.split(".channel.")[1].replace(/\.m3u8.*$/, "");
    try {
      const open = await fetch(new URL(`channels/${channel}/poll`, interact));
      const { poll } = await open.json();
      if (!poll) throw new Error("no open poll");
      const sent = await fetch(new URL(`polls/${encodeURIComponent(poll.id)}/answers`, interact), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ viewer: viewer(), choice }),
      });
      if (!sent.ok) throw new Error(`status ${sent.status}`);
      const counted = await sent.json();
      buttons.forEach(function (button, index) {
        button.disabled = true;
        button.setAttribute("aria-pressed", String(index === counted.choice));
        button.textContent = `${poll.answers[index]} · ${counted.tally[index] ?? 0}`;
      });
    } catch (error) {
      console.warn("answer", error);
      state.textContent = "Your answer did not arrive. Try again.";
    }
  }

  function viewer() {
    const name = "blog-post-viewer";
    let id = localStorage.getItem(name);
    if (!id) {
      id = Array.from(crypto.getRandomValues(new Uint8Array(16)), function (byte) {
        return byte.toString(16).padStart(2, "0");
      }).join("");
      localStorage.setItem(name, id);
    }
    return id;
  }
})();
