/** What a filter compares with. `null` has an operator of its own. */
export type FilterScalar = string | number | boolean;

type OnPresence = { readonly $exists: boolean } | { readonly $isNull: boolean };

type OnText =
  | { readonly $startsWith: string }
  | { readonly $endsWith: string }
  | { readonly $ignoreCaseEquals: string };

type OnNumber =
  | { readonly $gt: number }
  | { readonly $gte: number }
  | { readonly $lt: number }
  | { readonly $lte: number }
  | { readonly $between: readonly [min: number, max: number] };

type OnScalar<S> = { readonly $anythingBut: S | readonly [S, ...S[]] } | { readonly $not: S };

type OnList<S> = { readonly $includes: S } | { readonly $not: S };

/** One condition on a value: an object with exactly one operator. */
export type FilterOperator =
  | OnPresence
  | OnText
  | OnNumber
  | OnScalar<FilterScalar>
  | OnList<FilterScalar>;

/**
 * What a value must be: one of some scalars, or something for which every
 * operator holds. An empty list is met by anything.
 */
export type FilterMatcher =
  | readonly string[]
  | readonly number[]
  | readonly boolean[]
  | readonly FilterOperator[];

/**
 * Conditions on a payload, by property; all of them must be met. A nested
 * filter is met by an array if one of its elements meets it.
 *
 * @example
 * const bigOrders = { country: ["DE", "AT"], total: [{ $gte: 100 }], customer: { vip: [true] } };
 */
export interface EventFilter {
  readonly [property: string]: FilterMatcher | EventFilter;
}

type IsUntyped<T> = unknown extends T ? true : false;
type If<Condition, Then> = [Condition] extends [never] ? never : Then;
type ElementOf<T> = T extends readonly (infer Element)[] ? Element : never;
/** Of a union: the properties that any member has. */
type PropertyOf<T> = T extends unknown ? keyof T & string : never;
type ValueOf<T, P> = T extends unknown ? (P extends keyof T ? T[P] : never) : never;

type OperatorFor<T> =
  | OnPresence
  | If<Extract<T, string>, OnText>
  | If<Extract<T, number>, OnNumber>
  | If<Extract<T, FilterScalar>, OnScalar<Extract<T, FilterScalar>>>
  | If<Extract<ElementOf<T>, FilterScalar>, OnList<Extract<ElementOf<T>, FilterScalar>>>;

type MatcherFor<T> =
  | readonly Extract<T, string>[]
  | readonly Extract<T, number>[]
  | readonly Extract<T, boolean>[]
  | readonly OperatorFor<T>[];

/** What has no properties of its own to look at. */
type Leaf =
  | FilterScalar
  | bigint
  | symbol
  | null
  | undefined
  | Date
  | ((...args: never) => unknown);

type NestedFor<T> = T extends Leaf
  ? never
  : T extends readonly (infer Element)[]
    ? NestedFor<Element>
    : PropertiesFor<T>;

type PropertiesFor<T> = { readonly [P in PropertyOf<T>]?: ConditionFor<ValueOf<T, P>> };

type ConditionFor<T> =
  IsUntyped<T> extends true ? FilterMatcher | EventFilter : MatcherFor<T> | NestedFor<T>;

/** The filters that fit a payload: only properties that it has, only operators that fit their types. */
export type FilterFor<Payload> = IsUntyped<Payload> extends true ? EventFilter : NestedFor<Payload>;
