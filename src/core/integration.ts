import type { Io } from "./io.js";

/** Credentials of one account of a service, as an integration gets them. */
export interface ConnectionAuth {
  readonly type: "apiKey" | "oauth2";
  readonly accessToken: string;
  readonly scopes?: readonly string[];
  readonly additionalFields?: Readonly<Record<string, string>>;
}

/** An SDK that tasks are made of; each run execution works on a clone of its own. */
export interface Integration<Client = unknown> {
  readonly id: string;
  readonly metadata: { readonly id: string; readonly name: string; readonly instructions?: string };
  readonly authSource: "LOCAL" | "HOSTED";
  cloneForRun(io: Io, connectionKey: string, auth?: ConnectionAuth): Client;
}

export type Integrations = Readonly<Record<string, Integration>>;

/** `io` with a property for each integration. */
export type IoWith<I, Tx = unknown> = Io<Tx> & {
  readonly [K in keyof I]: I[K] extends Integration<infer Client> ? Client : never;
};

/** A key that `io` has already does not type. */
export type NoIoKeys<I> = { readonly [K in keyof I]: K extends keyof Io ? never : I[K] };
