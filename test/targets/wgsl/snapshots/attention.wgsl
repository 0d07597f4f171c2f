@group(0) @binding(1) var<storage, read> q: array<vec4f>; // f32[2, T, 64]
@group(0) @binding(2) var<storage, read> k: array<vec4f>; // f32[2, T + P, 64]
@group(0) @binding(3) var<storage, read> v: array<vec4f>; // f32[2, T + P, 64]
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>; // f32[T, 2, 64]

struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }

struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;

// exp within 2e-7: 2^n * e^r with |r| <= ln(2)/2; 0 below -103, largest finite value above 88.72.
fn exp_f32(x: f32) -> f32 {
  let c = clamp(x, -104.0, 88.72);
  let n = round(c * 1.44269504);
  let r = (c - n * 0.693359375) + n * 2.12194440e-4;
  let high = (1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3;
  let p = (((high * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1) * r * r + r + 1.0;
  let half = i32(n) / 2;
  let scaled = p * bitcast<f32>((half + 127) << 23u) * bitcast<f32>((i32(n) - half + 127) << 23u);
  return select(scaled, 0.0, x < -103.0);
}

fn exp_vec4(x: vec4f) -> vec4f { return vec4f(exp_f32(x.x), exp_f32(x.y), exp_f32(x.z), exp_f32(x.w)); }

var<workgroup> tile: array<vec4f, 544>;
var<workgroup> kept: array<vec4f, 288>;
@compute @workgroup_size(8, 16)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile2 = i32(at.group.x + at.group.y * at.groups.x);
  if (tile2 >= (dims.T + 31) / 32 * 2) { return; }
  let block = tile2 % ((dims.T + 31) / 32);
  let h = tile2 / ((dims.T + 31) / 32);
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  let i0 = min(block * 32 + ly, dims.T - 1);
  let i1 = min(block * 32 + ly + 16, dims.T - 1);
  var m0 = -3e38; var m1 = -3e38; var l0 = 0.0; var l1 = 0.0; var o0_0 = vec4f(); var o0_1 = vec4f();
  var o1_0 = vec4f(); var o1_1 = vec4f();
  let k_base = dims.P * h * 16 + dims.T * h * 16 + lx;
  let tile_base = lx + ly * 17;
  let q_base = dims.T * h * 16 + i0 * 16;
  let q_base2 = dims.T * h * 16 + i1 * 16;
  let tile_base2 = lx * 17;
  let kept_base = lx + ly * 9;
  let kept_base2 = ly * 9;
  let j0_end = dims.P + min(block * 32 + 31, dims.T - 1) + 1;
  for (var j0 = 0; j0 < j0_end; j0 += 32) {
    let j_at = vec4i(j0 + lx, j0 + lx + 8, j0 + lx + 16, j0 + lx + 24);
    let seen0 = j_at < vec4i(dims.P + i0 + 1);
    let seen1 = j_at < vec4i(dims.P + i1 + 1);
    for (var n = 0; n < 2; n++) {
      let key = min(dims.P + dims.T - 1, j0 + ly + n * 16);
      let k_base2 = k_base + key * 16;
      let tile_base3 = tile_base + n * 272;
      for (var w = 0; w < 2; w++) { tile[tile_base3 + w * 8] = k[k_base2 + w * 8]; }
    }
    var s0_0 = vec4f(); var s0_1 = vec4f(); var s0_2 = vec4f(); var s0_3 = vec4f(); var s1_0 = vec4f();
    var s1_1 = vec4f(); var s1_2 = vec4f(); var s1_3 = vec4f();
    workgroupBarrier();
    for (var e = 0; e < 16; e++) {
      let q0 = q[q_base + e]; let q1 = q[q_base2 + e]; let k2 = tile[tile_base2 + e];
      s0_0 += q0 * k2;
      s1_0 += q1 * k2;
      let k3 = tile[tile_base2 + e + 136];
      s0_1 += q0 * k3;
      s1_1 += q1 * k3;
      let k4 = tile[tile_base2 + e + 272];
      s0_2 += q0 * k4;
      s1_2 += q1 * k4;
      let k5 = tile[tile_base2 + e + 408];
      s0_3 += q0 * k5;
      s1_3 += q1 * k5;
    }
    let s0 = vec4f(dot(s0_0, vec4f(1.0)), dot(s0_1, vec4f(1.0)), dot(s0_2, vec4f(1.0)), dot(s0_3, vec4f(1.0))) * 0.5;
    let s1 = vec4f(dot(s1_0, vec4f(1.0)), dot(s1_1, vec4f(1.0)), dot(s1_2, vec4f(1.0)), dot(s1_3, vec4f(1.0))) * 0.5;
    kept[kept_base2 + lx] = select(vec4f(-3e38), s0, seen0);
    kept[kept_base2 + lx + 144] = select(vec4f(-3e38), s1, seen1);
    var mj0 = vec4f(-3e38);
    var mj1 = vec4f(-3e38);
    workgroupBarrier();
    for (var slot = 0; slot < 8; slot++) {
      let x0 = kept[kept_base2 + slot];
      let x1 = kept[kept_base2 + slot + 144];
      mj0 = max(mj0, x0);
      mj1 = max(mj1, x1);
    }
    let mj0_2 = max(max(mj0.x, mj0.y), max(mj0.z, mj0.w));
    let mj1_2 = max(max(mj1.x, mj1.y), max(mj1.z, mj1.w));
    let p0 = exp_vec4(s0 - mj0_2);
    let p1 = exp_vec4(s1 - mj1_2);
    workgroupBarrier();
    kept[kept_base2 + lx] = select(vec4f(), p0, seen0);
    kept[kept_base2 + lx + 144] = select(vec4f(), p1, seen1);
    for (var n = 0; n < 2; n++) {
      let key = min(dims.P + dims.T - 1, j0 + ly + n * 16);
      let v_base = k_base + key * 16;
      let tile_base3 = tile_base + n * 272;
      for (var w = 0; w < 2; w++) { tile[tile_base3 + w * 8] = v[v_base + w * 8]; }
    }
    var lj0 = vec4f(); var lj1 = vec4f(); var oj0_0 = vec4f(); var oj0_1 = vec4f(); var oj1_0 = vec4f();
    var oj1_1 = vec4f();
    workgroupBarrier();
    for (var slot = 0; slot < 8; slot++) {
      let x0 = kept[kept_base2 + slot];
      let x1 = kept[kept_base2 + slot + 144];
      lj0 += x0;
      lj1 += x1;
      let v2 = tile[lx + slot * 17];
      let t = vec4f(x0.x);
      oj0_0 += t * v2;
      let t2 = vec4f(x1.x);
      oj1_0 += t2 * v2;
      let v3 = tile[lx + slot * 17 + 8];
      oj0_1 += t * v3;
      oj1_1 += t2 * v3;
      let v4 = tile[lx + slot * 17 + 136];
      let t3 = vec4f(x0.y);
      oj0_0 += t3 * v4;
      let t4 = vec4f(x1.y);
      oj1_0 += t4 * v4;
      let v5 = tile[lx + slot * 17 + 144];
      oj0_1 += t3 * v5;
      oj1_1 += t4 * v5;
      let v6 = tile[lx + slot * 17 + 272];
      let t5 = vec4f(x0.z);
      oj0_0 += t5 * v6;
      let t6 = vec4f(x1.z);
      oj1_0 += t6 * v6;
      let v7 = tile[lx + slot * 17 + 280];
      oj0_1 += t5 * v7;
      oj1_1 += t6 * v7;
      let v8 = tile[lx + slot * 17 + 408];
      let t7 = vec4f(x0.w);
      oj0_0 += t7 * v8;
      let t8 = vec4f(x1.w);
      oj1_0 += t8 * v8;
      let v9 = tile[lx + slot * 17 + 416];
      oj0_1 += t7 * v9;
      oj1_1 += t8 * v9;
    }
    let lj0_2 = dot(lj0, vec4f(1.0));
    let lj1_2 = dot(lj1, vec4f(1.0));
    let max2 = max(m0, mj0_2);
    let exp3 = exp_f32(m0 - max2);
    let exp4 = exp_f32(mj0_2 - max2);
    let l_next = l0 * exp3 + lj0_2 * exp4;
    let exp5 = vec4f(exp3);
    let exp6 = vec4f(exp4);
    o0_0 = o0_0 * exp5 + oj0_0 * exp6; o0_1 = o0_1 * exp5 + oj0_1 * exp6; m0 = max2; l0 = l_next;
    let max3 = max(m1, mj1_2);
    let exp7 = exp_f32(m1 - max3);
    let exp8 = exp_f32(mj1_2 - max3);
    let l_next2 = l1 * exp7 + lj1_2 * exp8;
    let exp9 = vec4f(exp7);
    let exp10 = vec4f(exp8);
    o1_0 = o1_0 * exp9 + oj1_0 * exp10; o1_1 = o1_1 * exp9 + oj1_1 * exp10; m1 = max3; l1 = l_next2;
    workgroupBarrier();
  }
  if (block * 32 + ly < dims.T) {
    let t = vec4f(l0);
    out[block * 1024 + h * 16 + lx + ly * 32] = o0_0 / t;
    out[block * 1024 + h * 16 + lx + ly * 32 + 8] = o0_1 / t;
  }
  if (block * 32 + ly + 16 < dims.T) {
    let t = vec4f(l1);
    out[block * 1024 + h * 16 + lx + ly * 32 + 512] = o1_0 / t;
    out[block * 1024 + h * 16 + lx + ly * 32 + 520] = o1_1 / t;
  }
}
