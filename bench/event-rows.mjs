// Rows of the table for the workloads of event-workloads.mjs. None of these limits depends on the disk, so none is eased.
import { n } from "./table.mjs";

export function eventRows({ table, repeated, profileOf }) {
  const measured = (workload, options = {}) => ({
    figures: repeated("events", workload, options),
    profile: profileOf("events", workload, options),
  });
  return { filters, otherNames, hearers, schedules, waiters, batch };

  function filters() {
    const { figures, profile } = measured("filters");
    table.add("filters asked in sendEvent, 1,000 jobs of one name, memory", figures.perS, {
      limit: 500_000,
      least: true,
      unit: "/s",
      note: `${n(figures.cpuUsPerEvent)} µs CPU for an event and all its filters`,
      profile,
    });
  }

  function otherNames() {
    const { figures, profile } = measured("otherNames");
    table.add("sendEvent beside 999 jobs of other names, memory", figures.ratio, {
      limit: 1.1,
      unit: "× the time beside none",
      digits: 2,
      note: `${n(figures.amongPerS)} against ${n(figures.alonePerS)} events/s`,
      profile,
    });
  }

  function hearers() {
    const { figures, profile } = measured("hearers");
    table.add("10,000 events, 50 jobs hear each, SQLite", figures.percent, {
      limit: 40,
      least: true,
      unit: "% of raw rows/s",
      digits: 1,
      note: `${n(figures.rowsPerS)} against ${n(figures.rawRowsPerS)} rows/s, ${n(figures.cpuUsPerRow, 1)} µs CPU/row`,
      profile,
    });
  }

  function schedules() {
    const measure = (workload, options) => {
      const { figures, profile } = measured("schedules", options);
      table.add(workload, figures.corePercent, {
        limit: 5,
        scaled: true,
        unit: "% of a core",
        digits: 1,
        note: `${n(figures.usPerTick)} µs/tick, ${n(figures.ticksPerS)} ticks/s`,
        profile,
      });
    };
    measure("1,000 jobs with a tick each second, SQLite: ticks", { executed: 0 });
    measure("… spread over the second", { executed: 0, cron: 0 });
    const { figures } = measured("schedules", { executed: 1 });
    // No limit was set for it: what a run costs has rows of its own.
    table.note(
      "… with the runs that they start",
      `${n(figures.corePercent, 1)} % of a core, ${n(figures.usPerTick)} µs for a tick and its run`,
    );
  }

  function waiters() {
    const { figures, profile } = measured("waiters");
    table.add("10,000 runs wait for one name, each for another value", figures.examined, {
      limit: 10,
      unit: "waits looked at for an event",
      note: `sent → its run has it ${n(figures.sendToEndMs, 1)} ms`,
      profile,
    });
  }

  function batch() {
    const { figures, profile } = measured("batch");
    table.add("1,000 children of one batch", figures.resumptions, {
      limit: 1,
      unit: "resumptions of the parent",
      note: `${n(figures.ms)} ms in all`,
      profile,
    });
  }
}
