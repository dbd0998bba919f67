import { lookup as systemLookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { TaskError } from "../core/errors.js";
import { isPublicAddress } from "../core/public-address.js";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

export interface AddressRules {
  /** Addresses of a host name. Default: those of the operating system. */
  readonly resolve?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
  /** Lets an address pass that is not public, such as that of one service of your own. Default: none. */
  readonly allowAddress?: (address: string, hostname: string) => boolean;
}

/** Decides which addresses sockets may connect to. */
export class AddressGuard {
  readonly #rules: AddressRules;

  constructor(rules: AddressRules) {
    this.#rules = rules;
  }

  /** Schemes and literal addresses, which no socket looks up. @throws TaskError FETCH_ADDRESS_REFUSED */
  check(url: URL): void {
    if (url.protocol !== "http:" && url.protocol !== "https:")
      throw refused(`A ${url.protocol} URL is not fetched; use http or https`);
    // The URL parser has turned 0x7f.1, 2130706433 and the like into dotted decimals.
    const host = hostOf(url);
    if (isIP(host) !== 0) this.#checkAddress(host, host);
  }

  /**
   * The lookup of the socket itself: it connects to what was checked here, and to nothing that a
   * second answer of the name server says.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error) => callback(error, ""),
    );
  };

  /** One bad address refuses the name: a mix of public and private ones is how rebinding looks. */
  async #resolve(hostname: string): Promise<readonly ResolvedAddress[]> {
    const resolve = this.#rules.resolve ?? ((name) => systemLookup(name, { all: true }));
    const addresses = await resolve(hostname);
    if (addresses.length === 0) throw refused(`The host "${hostname}" has no address`);
    for (const { address } of addresses) this.#checkAddress(address, hostname);
    return addresses;
  }

  #checkAddress(address: string, hostname: string): void {
    if (isPublicAddress(address)) return;
    if (isIP(address) !== 0 && this.#rules.allowAddress?.(address, hostname) === true) return;
    throw refused(
      `Host "${hostname}" has the address ${address}, which is not public; if it is meant, let it pass with allowAddress of safeFetch`,
    );
  }
}

/** IPv6 without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

function refused(problem: string): TaskError {
  return new TaskError("FETCH_ADDRESS_REFUSED", `${problem}. Nothing was sent there.`);
}
