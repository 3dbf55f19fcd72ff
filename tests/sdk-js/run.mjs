// The AWS SDK for JavaScript v3, unchanged, against a running Headwater: what each service answers, what it refuses, and
// that a refusal is the SDK's own exception. Endpoint and keys come from the variables that `headwater env` prints.
//
//   node run.mjs SUITE...        without names: all of them

import { report } from './check.mjs';

const SUITES = ['ivs', 'stacks', 'objects', 'functions', 'rules', 'figures', 'identity', 'parameters', 'clocks'];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !SUITES.includes(name));
if (unknown.length > 0) {
  console.error(`no such suite: ${unknown.join(', ')}; there are ${SUITES.join(', ')}`);
  process.exit(64);
}
for (const name of asked.length > 0 ? asked : SUITES) {
  const suite = await import(`./${name}.mjs`);
  await suite.run();
}
process.exit(report() === 0 ? 0 : 1);
