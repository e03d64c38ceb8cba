// Preloaded into `cdk`: it looks every 2 or 5 seconds whether a stack is done, and here one is after a fraction of that.
const patient = globalThis.setTimeout;
globalThis.setTimeout = Object.assign(
  (call, wait, ...rest) => patient(call, wait === 2000 || wait === 5000 ? 500 : wait, ...rest),
  patient,
);
