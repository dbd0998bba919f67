export const help = `Usage: pawl <command> --storage <file> [options]

Looks at the runs that a SQLite file holds. Executes nothing.

  pawl runs            the newest runs; --job <id>  --status <status>  --tag <tag>
  pawl run <id>        one run: its tasks as a tree, with attempts and times
  pawl explain <id>    why it is not moving, in one sentence
  pawl cancel <id>     ends it; nothing more of it is recorded
  pawl retry <id>      lets a run that ended badly go on: completed tasks are kept

  --storage <file>     the SQLite file that the application uses
  --json               the same for programs
  --take <number>      how many runs (default 20) or tasks (default 1000)
  --cursor <cursor>    go on where the last page ended
  --version, --help

Exit code: 0 done, 1 it could not be done, 2 the command line is wrong.`;
