/** `npm run test:kill -- --cycles 1000` */
export const cycles = Number(process.env.PAWL_KILL_CYCLES ?? 100);
