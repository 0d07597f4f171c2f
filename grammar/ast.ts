/**
 * The syntax tree. Every node has `k` and `span`; nothing is resolved here: names are text, types are expressions of dims.
 * A file with syntax errors still yields a tree: an expression that could not be read is `{ k: 'error' }` (already reported), and a
 * statement without its essential part is left out.
 * Parentheses are not kept (the formatter sets those that are needed). Pipes are; `asCall` and `desugar` (desugar.ts) rewrite them.
 */
import type { Span } from '../src/diagnostics/span.ts'

interface At<K extends string> {
  readonly k: K
  readonly span: Span
}

interface Documented {
  /** Text of the `///` lines above, without the slashes, joined by newlines. */
  readonly doc?: string
}

/** A name, declared or used. */
export interface Name extends At<'name'> {
  readonly name: string
}

// ---- files

export interface File extends At<'file'> {
  readonly items: readonly Item[]
  /** All comments of the file in source order, doc comments included. */
  readonly comments: readonly Comment[]
}

export interface Comment extends At<'comment'> {
  /** As written, from the slashes on, trailing blanks removed. */
  readonly text: string
  readonly doc: boolean
  /** Code stands before it on its line. */
  readonly trailing: boolean
}

export type Item = Import | Model | Block

/** `import { geglu, rope as rotary } from "./b.tfm"` */
export interface Import extends At<'import'>, Documented {
  readonly names: readonly ImportName[]
  readonly from: Str
}
export interface ImportName extends At<'importName'> {
  readonly name: Name
  readonly as?: Name
}

/** `model name(hyper…) where e, … { … }` */
export interface Model extends At<'model'>, Documented {
  readonly name: Name
  readonly params: readonly Hyper[]
  readonly where: readonly Expr[]
  readonly body: Body
}
/** `d = 768 from "n_embd" or "hidden_size"`; without a default it must be set. */
export interface Hyper extends At<'hyper'>, Documented {
  readonly name: Name
  readonly default?: Expr
  /** Keys of the configuration, in the order in which they are tried. */
  readonly from: readonly Str[]
}

/** `pattern override block name(x: f32[..., D], n, auto eps = 1e-5) -> type where e = e` or `{ … }` */
export interface Block extends At<'block'>, Documented {
  readonly pattern: boolean
  readonly override: boolean
  readonly name: Name
  readonly params: readonly BlockParam[]
  readonly results: readonly Type[]
  readonly where: readonly Expr[]
  /** `= e` gives an expression, `{ … return e }` a body. */
  readonly body: Expr | Body
}
export interface BlockParam extends At<'blockParam'>, Documented {
  readonly auto: boolean
  readonly name: Name
  /** Tensor parameters have a type; numbers, strings and flags have none. */
  readonly type?: Type
  readonly default?: Expr
}

/** `f32[B, T, 3 * d]`, `bool[...]`, `f32` (a scalar: no dims). */
export interface Type extends At<'type'> {
  readonly dtype: Name
  readonly dims: readonly (Expr | Ellipsis)[]
}
export type Ellipsis = At<'ellipsis'>

// ---- statements

export interface Body extends At<'body'> {
  readonly stmts: readonly Stmt[]
}

export type Stmt =
  Sequence | Weights | Block | Input | Output | Param | Scope | Repeat | If | Assign | Share | Entry | Return | Yield

/** `sequence T` */
export interface Sequence extends At<'sequence'>, Documented {
  readonly name: Name
}

/** `weights { prefix "a." optional; ignore "b.*"; rename "c" to "d" }` */
export interface Weights extends At<'weights'>, Documented {
  readonly rules: readonly WeightsRule[]
}
export type WeightsRule = Prefix | Ignore | Rename
export interface Prefix extends At<'prefix'> {
  readonly prefix: Str
  readonly optional: boolean
}
export interface Ignore extends At<'ignore'> {
  readonly patterns: readonly Str[]
}
export interface Rename extends At<'rename'> {
  readonly from: Str
  readonly to: Str
}

/** `input ids: i32[B, T] = e where c, …` */
export interface Input extends At<'input'>, Documented {
  readonly name: Name
  readonly type: Type
  readonly default?: Expr
  readonly where: readonly Expr[]
}
/** `output y, h = e` */
export interface Output extends At<'output'>, Documented {
  readonly names: readonly Name[]
  readonly value: Expr
}
/** `param w: f32[a, b] = "weight" or e`; `path` and `fallback` may each be absent. */
export interface Param extends At<'param'>, Documented {
  readonly name: Name
  readonly type: Type
  readonly path?: Str
  readonly fallback?: Expr
}
/** `scope "h.{i}" { … }` */
export interface Scope extends At<'scope'>, Documented {
  readonly path: Str
  readonly body: Body
}
/** `repeat n as i unrolled scope "h.{i}" { … }`; a statement, or a value whose body yields. */
export interface Repeat extends At<'repeat'>, Documented {
  readonly count: Expr
  readonly index?: Name
  readonly unrolled: boolean
  readonly scope?: Str
  readonly body: Body
}
/** `if c { … } else if d { … } else { … }` */
export interface If extends At<'if'>, Documented {
  readonly cond: Expr
  readonly then: Body
  readonly else?: Body | If
}
/** `a, b = e` */
export interface Assign extends At<'assign'>, Documented {
  readonly targets: readonly Name[]
  readonly value: Expr
}
/** `share f = ffn(name = "f")` */
export interface Share extends At<'share'>, Documented {
  readonly name: Name
  readonly call: Call
}
/** `entry decode: memory, tgt -> logits` */
export interface Entry extends At<'entry'>, Documented {
  readonly name: Name
  readonly inputs: readonly Name[]
  readonly outputs: readonly Name[]
}
/** `return a, b` */
export interface Return extends At<'return'> {
  readonly values: readonly Expr[]
}
/** `yield a, b` */
export interface Yield extends At<'yield'> {
  readonly values: readonly Expr[]
}

// ---- expressions

export type Expr =
  | Name
  | Num
  | Str
  | Bool
  | List
  | Comprehension
  | Unary
  | Binary
  | Call
  | Pipe
  | Index
  | IfExpr
  | Repeat
  | Scan
  | Missing

export interface Num extends At<'number'> {
  readonly value: number
  /** Written without a point or an exponent. */
  readonly integer: boolean
  readonly text: string
}
export interface Str extends At<'string'> {
  readonly parts: readonly StrPart[]
}
export type StrPart = Text | Hole
/** Escapes are resolved in `value`. */
export interface Text extends At<'text'> {
  readonly value: string
}
/** `{e}` in a string. */
export interface Hole extends At<'hole'> {
  readonly expr: Expr
}
export interface Bool extends At<'bool'> {
  readonly value: boolean
}
export interface List extends At<'list'> {
  readonly items: readonly Expr[]
}
/** `[for i < T, j < T: e]`, or `sum[for e < E: …]` with `reduce`. */
export interface Comprehension extends At<'comprehension'> {
  readonly reduce?: Name
  readonly binders: readonly Binder[]
  readonly body: Expr
}
export interface Binder extends At<'binder'> {
  readonly name: Name
  readonly bound: Expr
}
export interface Unary extends At<'unary'> {
  readonly op: UnaryOp
  readonly arg: Expr
}
export type UnaryOp = '-' | 'not'
export interface Binary extends At<'binary'> {
  readonly op: BinaryOp
  readonly opSpan: Span
  readonly left: Expr
  readonly right: Expr
}
export type BinaryOp =
  'or' | 'and' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '//' | '%' | '@' | '**'
export interface Call extends At<'call'> {
  readonly callee: Name
  readonly args: readonly Arg[]
  /** Written as a pipe: the first argument came from the left. Set by `asCall`/`desugar` only. */
  readonly piped?: true
  /** The first argument is a tuple, and the call is made for each of its members. Set by `asCall`/`desugar` only. */
  readonly each?: true
}
export interface Arg extends At<'arg'> {
  readonly name?: Name
  readonly value: Expr
}
/** `input |> f(a)`; `call` holds `f` and the arguments written, so a bare `|> f` has none. */
export interface Pipe extends At<'pipe'> {
  readonly input: Expr
  readonly each: boolean
  readonly call: Call
}
export interface Index extends At<'index'> {
  readonly base: Expr
  readonly items: readonly IndexItem[]
}
export type IndexItem = IndexAt | Range | Ellipsis
/** One index: a number, a dim expression or an i32 tensor. */
export interface IndexAt extends At<'at'> {
  readonly index: Expr
}
/** `a:b`, `:b`, `a:`, `:`, and any of them with `:step` behind */
export interface Range extends At<'range'> {
  readonly from?: Expr
  readonly to?: Expr
  readonly step?: Expr
}
/** `if c then a else b` */
export interface IfExpr extends At<'ifExpr'> {
  readonly cond: Expr
  readonly then: Expr
  readonly else: Expr
}
/** `scan t < T, axis = 1, reverse = true carry h = h0, c = c0 { … yield h }` */
export interface Scan extends At<'scan'> {
  readonly index: Name
  readonly bound: Expr
  readonly options: readonly Arg[]
  readonly carries: readonly Carry[]
  readonly body: Body
}
export interface Carry extends At<'carry'> {
  readonly name: Name
  readonly init: Expr
}
/** An expression that could not be read; its diagnostic has been reported. */
export type Missing = At<'error'>

export type Node =
  | File
  | Comment
  | Item
  | ImportName
  | Hyper
  | BlockParam
  | Type
  | Ellipsis
  | Body
  | Stmt
  | WeightsRule
  | Expr
  | StrPart
  | Binder
  | Arg
  | IndexItem
  | Carry
