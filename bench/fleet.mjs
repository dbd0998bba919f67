// Other processes of the same store, seen from the one that measures.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const path = fileURLToPath(new URL("./member.mjs", import.meta.url));

export class Member {
  finished = 0;
  #child;
  #onFinished = () => {};
  #onAnswer = () => {};
  #onEnd = () => {};

  constructor(systemName, store, concurrency) {
    this.#child = fork(path, [systemName, store, String(concurrency)]);
    this.#child.on("exit", (code) => this.#onEnd(new Error(`a process ended, code ${code}`)));
    this.ready = this.#answer();
    this.#child.on("message", (message) => {
      if ("answer" in message) return this.#onAnswer(message.answer);
      this.finished = message.finished;
      this.#onFinished();
    });
  }

  /** Has it carry out an order of member.mjs; one at a time. */
  async obey(...order) {
    await this.ready;
    const answer = this.#answer();
    this.#child.send(order);
    return answer;
  }

  async leave() {
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  /** Until the members have ended `count` runs together since they began. */
  static async finished(members, count) {
    const sum = () => members.reduce((total, member) => total + member.finished, 0);
    await new Promise((resolve) => {
      for (const member of members) {
        member.#onFinished = () => {
          if (sum() >= count) resolve();
        };
      }
    });
  }

  #answer() {
    return new Promise((resolve, reject) => {
      this.#onAnswer = resolve;
      this.#onEnd = reject;
    });
  }
}
