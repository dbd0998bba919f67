/** A fenced block of a Markdown file. */
export interface Block {
  readonly language: string;
  /** What stands behind the language: "no-run" for TypeScript that is shown and not executed. */
  readonly info: string | undefined;
  readonly code: string;
  /** The text of a comment in the line above. */
  readonly comment: string | undefined;
  readonly line: number;
}

export function blocksOf(markdown: string): Block[] {
  const pattern = /(?:^<!-- (.+) -->\n)?^```(\w*)(?: (.+))?\n([\s\S]*?)^```$/gm;
  return [...markdown.matchAll(pattern)].map((match) => ({
    comment: match[1],
    language: match[2] ?? "",
    info: match[3],
    code: match[4] ?? "",
    line: markdown.slice(0, match.index).split("\n").length,
  }));
}

/** A program of a document, with what stands below it as its output. */
export interface Program extends Block {
  readonly output: string;
}

export function programsOf(blocks: readonly Block[]): Program[] {
  return blocks.flatMap((block, index) => {
    if (!["js", "ts"].includes(block.language) || block.info === "no-run") return [];
    const below = blocks[index + 1];
    return [{ ...block, output: below?.language === "text" ? below.code : "" }];
  });
}
