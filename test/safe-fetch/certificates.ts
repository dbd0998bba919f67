import { writeFileSync } from "node:fs";
import { join } from "node:path";
import forge from "node-forge";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;

/** An authority that nobody knows but who is told of it: by the file at `path`. */
export class CertificateAuthority {
  readonly path: string;
  readonly #keys = forge.pki.rsa.generateKeyPair(2048);
  #serial = 1;

  constructor(folder: string) {
    this.path = join(folder, "ca.pem");
    const extensions = [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ];
    const own = this.#sign("authority", this.#keys.publicKey, extensions);
    writeFileSync(this.path, own);
  }

  /** For the names of `subjectAltName`, such as "DNS:site.example,IP:127.0.0.1". */
  certify(names: string): Certificate {
    const keys = forge.pki.rsa.generateKeyPair(2048);
    const altNames = names.split(",").map((name) => {
      const [kind, value = ""] = name.split(":");
      return kind === "IP" ? { type: 7, ip: value } : { type: 2, value };
    });
    const cert = this.#sign("site", keys.publicKey, [{ name: "subjectAltName", altNames }]);
    return { cert, key: forge.pki.privateKeyToPem(keys.privateKey) };
  }

  #sign(subject: string, publicKey: forge.pki.PublicKey, extensions: object[]): string {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = publicKey;
    certificate.serialNumber = `0${this.#serial++}`;
    certificate.validity.notBefore = new Date(Date.now() - DAY_MS);
    certificate.validity.notAfter = new Date(Date.now() + DAY_MS);
    certificate.setSubject([{ name: "commonName", value: subject }]);
    certificate.setIssuer([{ name: "commonName", value: "authority" }]);
    certificate.setExtensions(extensions);
    certificate.sign(this.#keys.privateKey, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  }
}
