export { FakeClock, fakeClock } from "./fake-clock.js";
