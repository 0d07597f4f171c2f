/**
 * Hand-written WGSL that ours is held against: what a person writes for one shape, with all that is known about such kernels and none of what a
 * compiler must care for. f32, sizes that are multiples of the tiles.
 */
import type { Opened } from '../peers/contenders/contender.ts'
import { tensorsOf } from '../peers/checkpoint.ts'
import { checkpointOf } from '../peers/prepare.ts'
import type { Workload } from '../peers/workloads.ts'

/** y = x · w on a device, through buffers of its own. */
export function yardstick(device: GPUDevice, w: Workload): Opened {
  if (w.graph !== 'matmul') throw new Error('hand-written for products of matrices only')
  const { data: weights, shape } = tensorsOf(checkpointOf(w))('w')
  const [k, n] = shape
  const m = w.inputs.x.shape[0]
  const { code, groups } = m === 1 ? matvec(k, n) : matmul(m, k, n)
  const [MAP_READ, COPY_SRC, COPY_DST, STORAGE] = [1, 4, 8, 128]
  const buffer = (elements: number, usage: number): GPUBuffer => device.createBuffer({ size: 4 * elements, usage })
  const [x, b, y, back] = [
    buffer(m * k, STORAGE | COPY_DST), buffer(k * n, STORAGE | COPY_DST), buffer(m * n, STORAGE | COPY_SRC), buffer(m * n, MAP_READ | COPY_DST),
  ] // prettier-ignore
  device.queue.writeBuffer(b, 0, weights as Float32Array<ArrayBuffer>)
  const module = device.createShaderModule({ code })
  const pipeline = device.createComputePipeline({
    label: m === 1 ? 'matvec' : 'matmul',
    layout: 'auto',
    compute: { module, entryPoint: 'main' },
  })
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [x, b, y].map((buffer, binding) => ({ binding, resource: { buffer } })),
  })
  return {
    run: async () => {
      device.queue.writeBuffer(x, 0, w.inputs.x.data as Float32Array<ArrayBuffer>)
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(...groups)
      pass.end()
      encoder.copyBufferToBuffer(y, 0, back, 0, 4 * m * n)
      device.queue.submit([encoder.finish()])
      await back.mapAsync(MAP_READ)
      const result = new Float32Array(back.getMappedRange().slice(0))
      back.unmap()
      return result
    },
  }
}

interface Kernel {
  readonly code: string
  readonly groups: readonly [number, number]
}

/**
 * Tiles of 128 × 128: 256 threads with 8 × 8 sums each (two by two blocks of 4 × 4, so that neighbours read neighbours), slices of 16 of both operands in
 * 16 KiB of workgroup memory, a transposed, everything in vectors of four.
 */
export function matmul(m: number, k: number, n: number): Kernel {
  if (m % 128 !== 0 || n % 128 !== 0 || k % 16 !== 0) throw new Error(`hand-written for multiples of 128 × 16 × 128`)
  const blocks = [0, 1].flatMap((i) => [0, 1].flatMap((j) => [0, 1, 2, 3].map((r) => ({ i, j, r }))))
  const sum = ({ i, j, r }: { i: number; j: number; r: number }): string => `c${i}${j}${r}`
  return {
    groups: [n / 128, m / 128],
    code: `
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
var<workgroup> at: array<vec4f, 512>; // [16, 128] of a, transposed
var<workgroup> bs: array<vec4f, 512>; // [16, 128] of b
const K4 = ${k / 4}u;
const N4 = ${n / 4}u;
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) t: u32) {
  ${blocks.map((x) => `var ${sum(x)} = vec4f();`).join(' ')}
  let row = 128u * group.y;
  let column = 32u * group.x;
  // Of a: 4 rows × 4 of k for each of 128 threads; of b: 16 rows of 32 vectors, two for each thread.
  let ar = 4u * (t % 32u);
  let ak = (t / 32u) % 4u;
  for (var k0 = 0u; k0 < K4; k0 += 4u) {
    if (t < 128u) {
      let p = (row + ar) * K4 + k0 + ak;
      let a0 = a[p]; let a1 = a[p + K4]; let a2 = a[p + 2u * K4]; let a3 = a[p + 3u * K4];
      let to = 128u * ak + ar / 4u;
      at[to] = vec4f(a0.x, a1.x, a2.x, a3.x);
      at[to + 32u] = vec4f(a0.y, a1.y, a2.y, a3.y);
      at[to + 64u] = vec4f(a0.z, a1.z, a2.z, a3.z);
      at[to + 96u] = vec4f(a0.w, a1.w, a2.w, a3.w);
    }
    let q = (4u * k0 + t / 32u) * N4 + column + t % 32u;
    bs[t] = b[q];
    bs[t + 256u] = b[q + 8u * N4];
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let x0 = at[32u * k + id.y]; let x1 = at[32u * k + 16u + id.y];
      let y0 = bs[32u * k + id.x]; let y1 = bs[32u * k + 16u + id.x];
      ${blocks.map((x) => `${sum(x)} = fma(vec4f(x${x.i}.${'xyzw'[x.r]}), y${x.j}, ${sum(x)});`).join('\n      ')}
    }
    workgroupBarrier();
  }
  let to = (row + 4u * id.y) * N4 + column + id.x;
  ${blocks.map((x) => `c[to + ${64 * x.i + x.r}u * N4 + ${16 * x.j}u] = ${sum(x)};`).join('\n  ')}
}
`,
  }
}

/** A workgroup has 4 · lanes columns and splits k over its 256 / lanes other threads; each weight is read once, 16 bytes at a time. */
export function matvec(k: number, n: number): Kernel {
  const lanes = [16, 8, 4].find((l) => n / (4 * l) >= 256) ?? 4
  const slices = 256 / lanes
  if (n % (4 * lanes) !== 0 || k % slices !== 0)
    throw new Error(`hand-written for multiples of ${slices} × ${4 * lanes}`)
  return {
    groups: [n / (4 * lanes), 1],
    code: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
var<workgroup> sums: array<vec4f, 256>;
const N4 = ${n / 4}u;
@compute @workgroup_size(${lanes}, ${slices})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(local_invocation_index) t: u32) {
  let column = ${lanes}u * group.x + id.x;
  var a = vec4f();
  var b = vec4f();
  var k = id.y;
  for (; k + ${slices}u < ${k}u; k += ${2 * slices}u) {
    a = fma(vec4f(x[k]), w[k * N4 + column], a);
    b = fma(vec4f(x[k + ${slices}u]), w[(k + ${slices}u) * N4 + column], b);
  }
  if (k < ${k}u) { a = fma(vec4f(x[k]), w[k * N4 + column], a); }
  sums[t] = a + b;
  for (var half = ${slices / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (id.y < half) { sums[t] += sums[t + ${lanes}u * half]; }
  }
  if (id.y == 0u) { y[column] = sums[t]; }
}
`,
  }
}
