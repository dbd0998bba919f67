import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Links of a document to files and headings that do not exist. */
export function brokenLinks(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^https?:/.test(target) && !leadsSomewhere(path, target));
}

function leadsSomewhere(path: string, target: string): boolean {
  const [file = "", heading] = target.split("#");
  const destination = file === "" ? path : join(dirname(path), file);
  if (!existsSync(destination)) return false;
  return heading === undefined || headingsOf(destination).includes(heading);
}

function headingsOf(path: string): string[] {
  const headings = readFileSync(path, "utf8").matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, "")
      .replaceAll(" ", "-"),
  );
}
