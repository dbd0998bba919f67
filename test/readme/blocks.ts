/** A fenced block of a Markdown file. */
export interface Block {
  readonly language: string;
  readonly code: string;
  /** The text of a comment in the line above. */
  readonly comment: string | undefined;
  readonly line: number;
}

export function blocksOf(markdown: string): Block[] {
  const pattern = /(?:^<!-- (.+) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm;
  return [...markdown.matchAll(pattern)].map((match) => ({
    comment: match[1],
    language: match[2] ?? "",
    code: match[3] ?? "",
    line: markdown.slice(0, match.index).split("\n").length,
  }));
}
