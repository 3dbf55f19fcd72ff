// The script for pages: `HeadwaterPlayer`, and the same object as `IVSPlayer` for pages written for IVS' web player.

import * as player from "./index";

const api = Object.freeze({ ...player });

declare global {
  interface Window {
    HeadwaterPlayer: typeof api;
    IVSPlayer: typeof api;
    /** IVS has it in a script of its own, under this name. */
    registerIVSTech: typeof api.registerIVSTech;
  }
}

window.HeadwaterPlayer = api;
window.IVSPlayer = api;
window.registerIVSTech = api.registerIVSTech;
