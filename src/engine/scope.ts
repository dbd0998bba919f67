import type { Execution } from "./execution.js";

/** Hears that nothing in its scope counts any more. */
interface ScopeOwner {
  scopeClosed(): void;
}

/**
 * Where a key is looked up: the run itself (path "") or the callback of a task.
 * Keeps the books on whether its code is busy or only waits for io calls.
 */
export class Scope {
  readonly execution: Execution;
  readonly path: string;
  /** Generation and attempts of all enclosing tasks: effects and failed children belong to one of these. */
  readonly tag: string;
  /** Why io calls are refused in here, if they are. */
  readonly forbidden: string | undefined;
  readonly parent: Scope | undefined;
  /** A task's callback: what it does is not repeated by a replay once it is recorded. */
  readonly isTask: boolean;
  readonly #owner: ScopeOwner | undefined;
  // Most scopes are callbacks that make no io call: what those need is made on first use.
  #keys: Set<string> | undefined;
  #children: Scope[] | undefined;
  /** Its place among the children of its parent. */
  #index = 0;
  #openOps = 0;
  #active = false;
  #closed = false;

  constructor(
    execution: Execution,
    path: string,
    tag: string,
    {
      parent,
      isTask = false,
      forbidden,
      owner,
    }: {
      parent?: Scope;
      isTask?: boolean;
      forbidden?: string | undefined;
      owner?: ScopeOwner;
    } = {},
  ) {
    this.execution = execution;
    this.path = path;
    this.tag = tag;
    this.parent = parent;
    this.isTask = isTask;
    this.forbidden = forbidden;
    this.#owner = owner;
    if (parent !== undefined) {
      parent.#children ??= [];
      this.#index = parent.#children.push(this) - 1;
    }
  }

  /** False if the key was used before in this scope. */
  useKey(path: string): boolean {
    this.#keys ??= new Set();
    if (this.#keys.has(path)) return false;
    this.#keys.add(path);
    return true;
  }

  /** True once `waitForAny` was decided against this branch, or above it. */
  get isClosed(): boolean {
    return this.#closed || (this.parent?.isClosed ?? false);
  }

  enter(): void {
    this.#active = true;
    if (this.#openOps === 0) this.execution.busyScopes++;
  }

  exit(): void {
    if (this.#active && this.#openOps === 0) this.execution.busyScopes--;
    this.#active = false;
    this.#leaveParent();
  }

  /**
   * What it left open must still be closed from above: scopes, and calls, which
   * may make scopes later (a task of it that is to be tried again).
   */
  #leaveParent(): void {
    const isOver = !this.#active && this.#openOps === 0 && (this.#children?.length ?? 0) === 0;
    if (isOver && this.parent !== undefined) this.parent.#forget(this);
  }

  /** The last one takes its place: a Set would be made anew each time it gets empty, which it does with every task. */
  #forget(child: Scope): void {
    const children = this.#children;
    if (children?.[child.#index] !== child) return;
    const last = children.pop();
    if (last !== undefined && last !== child) {
      last.#index = child.#index;
      children[child.#index] = last;
    }
    this.#leaveParent();
  }

  get isBusy(): boolean {
    return this.#active && this.#openOps === 0;
  }

  opBegins(): void {
    if (this.#active && this.#openOps === 0) this.execution.busyScopes--;
    this.#openOps++;
  }

  opEnds(): void {
    this.#openOps--;
    if (this.#openOps > 0) return;
    if (this.#active) this.execution.busyScopes++;
    else this.#leaveParent();
  }

  /** Nothing in here or below counts or settles any more. */
  closeTree(): void {
    this.exit();
    this.#closed = true;
    for (const child of this.#children?.slice() ?? []) child.closeTree();
    this.#owner?.scopeClosed();
  }
}
