// Preloaded into `cdk`, which polls a stack every 2 or 5 seconds: local deployments finish sooner.
const patient = globalThis.setTimeout;
globalThis.setTimeout = Object.assign(
  (call, wait, ...rest) => patient(call, wait === 2000 || wait === 5000 ? 500 : wait, ...rest),
  patient,
);
