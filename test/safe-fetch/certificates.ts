import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** An authority that nobody knows but who is told of it; all its files lie in `folder`. */
export class CertificateAuthority {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#openssl(
      "req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem",
    );
  }

  get path(): string {
    return join(this.#folder, "ca.pem");
  }

  /** For the names of `subjectAltName`, such as "DNS:site.example,IP:127.0.0.1". */
  certify(names: string): Certificate {
    writeFileSync(join(this.#folder, "names"), `subjectAltName=${names}\n`);
    this.#openssl(
      "req -newkey rsa:2048 -nodes -sha256 -subj /CN=site -keyout site.key -out site.csr",
    );
    this.#openssl(
      "x509 -req -sha256 -days 1 -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out site.pem",
    );
    return { cert: this.#read("site.pem"), key: this.#read("site.key") };
  }

  #openssl(words: string): void {
    execFileSync("openssl", words.split(" "), { cwd: this.#folder, stdio: "pipe" });
  }

  #read(name: string): Buffer {
    return readFileSync(join(this.#folder, name));
  }
}
