import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPublicAddress } from "../../src/core/public-address.js";

describe("isPublicAddress", () => {
  test.each([
    "8.8.8.8",
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:4860:4860:0:0:0:0:8888",
    "2001:200::1",
    "2600::8.8.8.8",
  ])("S17: %s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    ["this network", "0.0.0.0", "0.1.2.3"],
    ["private", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    ["shared", "100.64.0.1", "100.127.255.255"],
    ["loopback", "127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1"],
    ["unspecified", "::"],
    ["the host of a machine at Azure", "168.63.129.16"],
    ["link-local", "169.254.169.254", "fe80::1", "febf::1", "fe80::1%eth0"],
    ["protocol and documentation", "192.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"],
    ["documentation of IPv6", "2001:db8::1", "3fff::1", "3fff:fff::1"],
    ["6to4 and its relays", "192.88.99.1", "2002:7f00:1::", "2002:808:808::"],
    ["benchmarks", "198.18.0.1", "198.19.255.255"],
    ["multicast and reserved", "224.0.0.1", "240.0.0.1", "255.255.255.255", "ff02::1"],
    ["mapped", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8", "::127.0.0.1"],
    ["NAT64", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1"],
    ["Teredo", "2001::1", "2001:0:7f00:1::"],
    ["unique local", "fc00::1", "fd12:3456:789a::1"],
    ["site-local and discard", "fec0::1", "100::1"],
  ])("S17: %s addresses are not", (_, ...addresses) => {
    expect(addresses.filter(isPublicAddress)).toEqual([]);
  });

  test.each([
    ["nothing", ""],
    ["a name", "localhost"],
    ["octal parts", "010.8.8.8"],
    ["hexadecimal parts", "0x8.8.8.8"],
    ["one number", "134744072"],
    ["three parts", "8.8.8"],
    ["five parts", "8.8.8.8.8"],
    ["a part that is too large", "8.8.8.256"],
    ["a sign", "+8.8.8.8"],
    ["a space", "8.8.8.8 "],
    ["brackets", "[2606:4700::1]"],
    ["two gaps", "2606::1::1"],
    ["too few groups", "2606:4700:1"],
    ["too many groups", "2606:1:2:3:4:5:6:7:8"],
    ["a gap for no group", "2606:1:2:3::4:5:6:7"],
    ["a group that is too long", "2606::12345"],
    ["IPv4 in the middle", "2606::8.8.8.8:1"],
    ["a port", "8.8.8.8:80"],
  ])("S17: %s is no address", (_, text) => {
    expect(isPublicAddress(text)).toBe(false);
  });

  const byte = fc.integer({ min: 0, max: 255 });
  const hex = (high: number, low: number) => (high * 256 + low).toString(16);

  test("S17: however an IPv4 address is wrapped in IPv6, it is refused", () => {
    fc.assert(
      fc.property(byte, byte, byte, byte, (a, b, c, d) => {
        const groups = `${hex(a, b)}:${hex(c, d)}`;
        for (const wrapped of [
          `::ffff:${groups}`,
          `::FFFF:${a}.${b}.${c}.${d}`,
          `0:0:0:0:0:ffff:${groups}`,
          `::${groups}`,
          `64:ff9b::${groups}`,
          `2002:${groups}::1`,
        ]) {
          expect(isPublicAddress(wrapped)).toBe(false);
        }
      }),
    );
  });

  test("S17: an IPv6 address says the same however it is written", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const long = groups.map((part) => part.toString(16).padStart(4, "0")).join(":");
        const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
        expect(isPublicAddress(short)).toBe(isPublicAddress(long));
        expect(isPublicAddress(long.toUpperCase())).toBe(isPublicAddress(long));
      }),
    );
  });

  test("S17: private ranges are refused as a whole", () => {
    fc.assert(
      fc.property(byte, byte, byte, (b, c, d) => {
        expect(isPublicAddress(`10.${b}.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`127.${b}.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`172.${16 + (b % 16)}.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`192.168.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`169.254.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`100.${64 + (b % 64)}.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`198.${18 + (b % 2)}.${c}.${d}`)).toBe(false);
        expect(isPublicAddress(`${224 + (b % 32)}.${b}.${c}.${d}`)).toBe(false);
      }),
    );
  });
});
