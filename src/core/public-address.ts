/** What is no address. */
const NONE = -1n;

/**
 * Special ranges of the registries of IANA: this host and network, private, carrier-grade NAT,
 * loopback, link-local (cloud metadata), protocol assignments, documentation, relays, benchmarks,
 * multicast, reserved. And one that is public by its number only: Azure gives each virtual machine
 * its host's services there.
 */
const specialIpv4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
].map((range) => rangeOf(range, ipv4Of, 32));

/** What the internet routes. Loopback, mapped IPv4, NAT64, unique local, link-local, multicast and more lie outside. */
const globalIpv6 = rangeOf("2000::/3", ipv6Of, 128);
/** Teredo and other protocols, documentation, 6to4, documentation again. */
const specialIpv6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"].map((range) =>
  rangeOf(range, ipv6Of, 128),
);

interface Range {
  readonly prefix: bigint;
  readonly shift: bigint;
}

function rangeOf(range: string, read: (address: string) => bigint, width: number): Range {
  const [base = "", bits = ""] = range.split("/");
  const shift = BigInt(width - Number(bits));
  return { prefix: read(base) >> shift, shift };
}

function isIn(address: bigint, { prefix, shift }: Range): boolean {
  return address >> shift === prefix;
}

/**
 * True for an IPv4 or IPv6 address of the public internet. False for private, loopback,
 * link-local, shared, documentation, benchmark, multicast and reserved ones, for IPv6 forms that
 * carry an IPv4 address (`::ffff:7f00:1`, 6to4, NAT64), and for every other text: a name, octal or
 * hexadecimal parts, a zone.
 */
export function isPublicAddress(address: string): boolean {
  const ipv4 = ipv4Of(address);
  if (ipv4 !== NONE) return !specialIpv4.some((range) => isIn(ipv4, range));
  const ipv6 = ipv6Of(address);
  if (ipv6 === NONE || !isIn(ipv6, globalIpv6)) return false;
  return !specialIpv6.some((range) => isIn(ipv6, range));
}

/** Dotted decimal notation only. */
function ipv4Of(text: string): bigint {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every(isDecimalByte)) return NONE;
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n);
}

/** `010` would be ten to some and eight to others. */
function isDecimalByte(part: string): boolean {
  return /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256;
}

/** Without zones. */
function ipv6Of(text: string): bigint {
  const [head = "", tail, more] = text.split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  if (before === undefined || after === undefined || more !== undefined) return NONE;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return NONE;
  const zeros = Array.from({ length: missing }, () => 0n);
  return [...before, ...zeros, ...after].reduce((value, group) => value * 65_536n + group, 0n);
}

/** The last 32 bits may be written as an IPv4 address. */
function groupsOf(text: string): bigint[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const ipv4 = ipv4Of(text.slice(text.lastIndexOf(":") + 1));
  if (ipv4 !== NONE) {
    groups.splice(-1, 1, (ipv4 >> 16n).toString(16), (ipv4 & 0xffffn).toString(16));
  }
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined;
  return groups.map((group) => BigInt(`0x${group}`));
}
