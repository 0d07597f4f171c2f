/** Algebra of views and of neutral elements. Each rule is a row under its law; together they end because each removes a node or a view. */
import type { Node } from '../ir/types.ts'
import { add, con, of, proveLe, sub } from '../types/ix.ts'
import type { Ix } from '../types/ix.ts'
import { sameShape } from '../types/shape.ts'
import type { Pass } from './pass.ts'
import type { Rule } from './rewrite.ts'
import { rebuild } from './rewrite.ts'

const scalar = (n: Node, value: number): boolean => n.op === 'full' && n.attrs.value === value
const asIx = (a: unknown): Ix => of(a as Ix | number)

/** x ∘ e = x where e is neutral, as long as e does not widen the shape. */
const neutral = (op: string, value: number, side: 'right' | 'both'): Rule => ({
  law: `${op} with ${value} is the identity`,
  apply: (n) => {
    if (n.op !== op) return undefined
    const [a, b] = n.inputs
    if (scalar(b, value) && sameShape(a.type.shape, n.type.shape)) return a
    return side === 'both' && scalar(a, value) && sameShape(b.type.shape, n.type.shape) ? b : undefined
  },
})

const views: Rule[] = [
  {
    law: 'a view that changes nothing is its operand',
    apply: (n) => {
      const x = n.inputs[0]
      const same = x !== undefined && sameShape(n.type.shape, x.type.shape)
      if (n.op === 'reshape' || n.op === 'broadcast' || n.op === 'slice') return same ? x : undefined
      return n.op === 'permute' && (n.attrs.order as readonly number[]).every((a, i) => a === i) ? x : undefined
    },
  },
  {
    law: 'reshape of a reshape is one reshape',
    apply: (n, b) =>
      n.op === 'reshape' && n.inputs[0].op === 'reshape'
        ? b.node('reshape', [n.inputs[0].inputs[0]], n.attrs, n.origin)
        : undefined,
  },
  {
    law: 'permutations compose',
    apply: (n, b) => {
      if (n.op !== 'permute' || n.inputs[0].op !== 'permute') return undefined
      const inner = n.inputs[0].attrs.order as readonly number[]
      const order = (n.attrs.order as readonly number[]).map((i) => inner[i])
      return b.node('permute', [n.inputs[0].inputs[0]], { order }, n.origin)
    },
  },
  {
    law: 'slices of one axis add up',
    apply: (n, b) => {
      const x = n.inputs[0]
      if (n.op !== 'slice' || x.op !== 'slice' || n.attrs.axis !== x.attrs.axis) return undefined
      return b.node(
        'slice',
        [x.inputs[0]],
        { ...n.attrs, start: add(asIx(n.attrs.start), asIx(x.attrs.start)) },
        n.origin,
      )
    },
  },
  {
    law: 'a slice that lies within one part of a concatenation is a slice of that part',
    apply: (n, b) => {
      const x = n.inputs[0]
      if (n.op !== 'slice' || x.op !== 'concat' || n.attrs.axis !== x.attrs.axis) return undefined
      const start = asIx(n.attrs.start)
      const end = add(start, asIx(n.attrs.size))
      let from: Ix = con(0)
      for (const part of x.inputs) {
        const to = add(from, part.type.shape[n.attrs.axis as number])
        if (proveLe(from, start) && proveLe(end, to))
          return b.node('slice', [part], { ...n.attrs, start: sub(start, from) }, n.origin)
        from = to
      }
      return undefined
    },
  },
  {
    law: 'neighbouring slices of one value, concatenated, are one slice',
    apply: (n, b) => {
      if (n.op !== 'concat') return undefined
      const axis = n.attrs.axis as number
      for (let i = 0; i + 1 < n.inputs.length; i++) {
        const [p, q] = [n.inputs[i], n.inputs[i + 1]]
        if (
          p.op !== 'slice' ||
          q.op !== 'slice' ||
          p.inputs[0] !== q.inputs[0] ||
          p.attrs.axis !== axis ||
          q.attrs.axis !== axis
        )
          continue
        if (add(asIx(p.attrs.start), asIx(p.attrs.size)) !== asIx(q.attrs.start)) continue
        const size = add(asIx(p.attrs.size), asIx(q.attrs.size))
        const joined = b.node('slice', [p.inputs[0]], { ...p.attrs, size }, p.origin)
        const whole = sameShape(joined.type.shape, p.inputs[0].type.shape) ? p.inputs[0] : joined
        return b.node('concat', [...n.inputs.slice(0, i), whole, ...n.inputs.slice(i + 2)], n.attrs, n.origin)
      }
      return n.inputs.length === 1 ? n.inputs[0] : undefined
    },
  },
]

const arithmetic: Rule[] = [
  neutral('add', 0, 'both'),
  neutral('sub', 0, 'right'),
  neutral('mul', 1, 'both'),
  neutral('div', 1, 'right'),
  {
    law: 'not not x = x; - - x = x',
    apply: (n) => ((n.op === 'not' || n.op === 'neg') && n.inputs[0].op === n.op ? n.inputs[0].inputs[0] : undefined),
  },
  {
    law: 'a conversion to the type it has is the identity',
    apply: (n) =>
      ['f32', 'i32', 'bool'].includes(n.op) && n.inputs[0].type.dtype === n.type.dtype ? n.inputs[0] : undefined,
  },
]

export const canonicalise: Pass = {
  name: 'canonicalise',
  description: 'compose views, drop neutral elements, share equal nodes, drop unused ones',
  run: (graph) => rebuild(graph, [...views, ...arithmetic]),
}
export const cse: Pass = {
  name: 'cse',
  description: 'share equal nodes, drop unused ones',
  run: (graph) => rebuild(graph, []),
}
