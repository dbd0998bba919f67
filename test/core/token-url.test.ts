import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkedTokenUrls, tokenOfUrl, urlOfToken } from "../../src/core/token-url.js";
import { thrownCode } from "../engine/support.js";

const secret = "0123456789abcdef01234567";
const other = "another secret that is long enough";
const urls = { publicUrl: "https://shop.example/pawl", secrets: [secret] };

describe("the URL of a token", () => {
  test("names the token and carries an HMAC-SHA256 of it", () => {
    const signature = createHmac("sha256", secret).update("pawl token v1 a b").digest("hex");
    const url = urlOfToken("a b", urls);
    expect(url).toBe(`https://shop.example/pawl/tokens/a%20b?signature=v1.${signature}`);
    expect(tokenOfUrl(new URL(url), urls)).toBe("a b");
  });

  test("is recognised behind a proxy that changes host and path, and with other parameters", () => {
    const { search } = new URL(urlOfToken("a", urls));
    for (const where of ["http://127.0.0.1:3000/tokens/a", "https://x.example/deep/er/tokens/a"])
      expect(tokenOfUrl(new URL(`${where}${search}&more=1`), urls)).toBe("a");
  });

  test("is accepted under a secret that is on its way out, and signed with the first", () => {
    const rotated = { ...urls, secrets: [other, secret] };
    expect(tokenOfUrl(new URL(urlOfToken("a", urls)), rotated)).toBe("a");
    expect(tokenOfUrl(new URL(urlOfToken("a", rotated)), urls)).toBeUndefined();
    const both = new URL(urlOfToken("a", rotated));
    both.searchParams.append(
      "signature",
      new URL(urlOfToken("a", urls)).searchParams.get("signature") ?? "",
    );
    both.searchParams.append("signature", "v9.of-a-later-version");
    expect(tokenOfUrl(both, urls)).toBe("a");
  });

  test.each([
    [
      "of another token",
      (url: URL) => {
        url.pathname = url.pathname.replace("/a", "/b");
      },
    ],
    ["without a signature", (url: URL) => url.searchParams.delete("signature")],
    [
      "with a signature of another length",
      (url: URL) => url.searchParams.set("signature", "v1.00"),
    ],
    [
      "with another version",
      (url: URL) =>
        url.searchParams.set(
          "signature",
          (url.searchParams.get("signature") ?? "").replace("v1", "v2"),
        ),
    ],
    [
      "with a changed first byte",
      (url: URL) =>
        url.searchParams.set(
          "signature",
          (url.searchParams.get("signature") ?? "").replace(
            /^v1\.(.)/,
            (_, c) => `v1.${c === "0" ? "1" : "0"}`,
          ),
        ),
    ],
    [
      "with a changed last byte",
      (url: URL) =>
        url.searchParams.set(
          "signature",
          (url.searchParams.get("signature") ?? "").replace(/(.)$/, (c) => (c === "0" ? "1" : "0")),
        ),
    ],
    [
      "with a broken path",
      (url: URL) => {
        url.pathname = "/tokens/%E0%A4%A";
      },
    ],
    [
      "with no id",
      (url: URL) => {
        url.pathname = "/tokens/";
      },
    ],
  ])("%s is none", (_, change) => {
    const url = new URL(urlOfToken("a", urls));
    change(url);
    expect(tokenOfUrl(url, urls)).toBeUndefined();
  });

  test("needs a public URL and secrets that nobody guesses", () => {
    expect(checkedTokenUrls(undefined, undefined, "x")).toBeUndefined();
    const checked = checkedTokenUrls("https://shop.example/pawl/", [secret, other], "x");
    expect(checked).toEqual({ publicUrl: "https://shop.example/pawl", secrets: [secret, other] });
    const wrong: [unknown, unknown][] = [
      ["https://shop.example", undefined],
      [undefined, [secret]],
      ["shop.example", [secret]],
      ["ftp://shop.example", [secret]],
      ["https://shop.example?x=1", [secret]],
      ["https://shop.example#x", [secret]],
      [5, [secret]],
      ["https://shop.example", []],
      ["https://shop.example", secret],
      ["https://shop.example", [secret, "short"]],
      ["https://shop.example", [5]],
    ];
    for (const [publicUrl, secrets] of wrong)
      expect(thrownCode(() => checkedTokenUrls(publicUrl, secrets, "x"))).toBe("OPTION_INVALID");
    expect(() => checkedTokenUrls("https://a.example", ["hunter2"], "x")).toThrow(
      expect.not.stringContaining("hunter2") as never,
    );
  });
});
