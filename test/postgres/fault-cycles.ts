/** `npm run test:faults` has more of each. */
function cyclesOf(name: string, few: number): number {
  return Number(process.env[`PAWL_FAULT_${name}`] ?? few);
}

export const restarts = cyclesOf("RESTARTS", 3);
export const cuts = cyclesOf("CUTS", 20);
export const terminations = cyclesOf("TERMINATIONS", 40);
