const json = /^[^;]*[/+]json\s*(?:;|$)/i;
const text =
  /^\s*(?:text\/|[^;]*[/+]xml\s*(?:;|$)|application\/(?:x-www-form-urlencoded|x-ndjson|jsonl|javascript|graphql|yaml|toml|sql)\s*(?:;|$))/i;
const charset = /;\s*charset="?([\w.:-]+)"?/i;

/**
 * The body of an answer as data, by its content type: JSON parsed, text as a string, everything else
 * as bytes. Without a type it is JSON if it can be parsed, else text. `undefined` if there is
 * nothing, except for text.
 * @param isCut the body went on: it is no JSON then
 */
export function bodyData(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string | undefined,
  isCut = false,
): unknown {
  const type = contentType?.trim() ?? "";
  const isJson = type === "" || json.test(type);
  if (bytes.length === 0 && !text.test(type)) return undefined;
  if (!isJson && !text.test(type) && !charset.test(type)) return bytes;
  const decoded = decode(bytes, charset.exec(type)?.[1]);
  return isJson && !isCut ? parsed(decoded) : decoded;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function decode(bytes: Uint8Array, label = "utf-8"): string {
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    // An encoding that nobody knows.
    return new TextDecoder().decode(bytes);
  }
}
