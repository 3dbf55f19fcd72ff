// The end-to-end test in a real browser: what a viewer sees, from "not started" over live, question, loss and recovery to the end.
//
//   node run.mjs --stand-in              against the stand-in server of this folder; then with a server that misbehaves
//   HEADWATER_BROWSER='{…}' node run.mjs against a running server (no publisher on the channel, nothing broadcast yet):
//     site            address of the viewer site
//     ingest          where ffmpeg publishes, stream key included: rtmp://127.0.0.1:1935/app/KEY
//     putMetadata     command that puts metadata into the channel; the text is appended as its last argument
//     restartServer   optional command that stops the server (hard) and returns when it runs again, on the same ports and data
//     screenshots     optional folder
//     chromium        optional path of the browser
//
// Prints a line for each assertion and "N passed, N failed"; ends with 1 when one failed.

import { Server } from "./server.mjs";
import { faults } from "./faults.mjs";
import { run } from "./journey.mjs";
import { Report } from "./report.mjs";

const wanted = process.argv.includes("--stand-in") ? "stand-in" : process.env.HEADWATER_BROWSER;
if (!wanted) {
  console.error("nothing to test: set HEADWATER_BROWSER (see the top of run.mjs) or pass --stand-in");
  process.exit(2);
}
const options = wanted === "stand-in" ? {} : JSON.parse(wanted);
options.screenshots ??= process.env.HEADWATER_SCREENSHOTS;

const report = new Report();
let server;
try {
  server = wanted === "stand-in" ? await Server.standIn() : new Server(options);
  await run(server, options, report);
  if (wanted === "stand-in") await faults(options, report);
} catch (error) {
  report.broke(error);
} finally {
  await server?.close();
}
report.close();
process.exit(report.failed > 0 ? 1 : 0);
