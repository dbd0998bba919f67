// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Stored text comes from anywhere: what would steer a terminal is shown as an escape instead. */
export function printable(text: string): string {
  return text.replace(
    control,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The first line, as far as one line of a terminal has room for it. */
export function oneLine(text: string, length = 120): string {
  const [first = ""] = text.split("\n", 1);
  return printable(first.length > length ? `${first.slice(0, length - 1)}…` : first);
}
