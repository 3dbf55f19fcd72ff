// hls.js' smaller build has no declarations of its own; what it has is declared as in the whole one.

declare module "hls.js/light" {
  export * from "hls.js";
  export { default } from "hls.js";
}
