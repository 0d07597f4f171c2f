@group(0) @binding(1) var<storage, read> q: array<f32>; // f32[2, T, 64]
@group(0) @binding(2) var<storage, read> k: array<f32>; // f32[2, T + P, 64]
@group(0) @binding(3) var<storage, read> v: array<f32>; // f32[2, T + P, 64]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // f32[T, 2, 64]

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

var<workgroup> s: array<f32, 64>;
var<workgroup> p: array<f32, 64>;
@compute @workgroup_size(64)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= dims.T * 2) { return; }
  let i = tile % dims.T;
  let h = tile / dims.T;
  let lane = i32(thread.x);
  var m = -3e38; var l = 0.0; var o = 0.0;
  let q_base = dims.T * h * 64 + i * 64;
  let k_base = dims.P * h * 64 + dims.T * h * 64;
  for (var j0 = 0; j0 < dims.P + i + 1; j0 += 64) {
    let j = j0 + lane;
    if (j < dims.P + i + 1) {
      var s2 = 0.0;
      let k_base2 = k_base + j * 64;
      for (var e = 0; e < 64; e++) { s2 += 0.5 * q[q_base + e] * k[k_base2 + e]; }
      s[lane] = s2;
    }
    workgroupBarrier();
    var mj = -3e38;
    let j_end = min(64, dims.P + i + 1 - j0);
    for (var j2 = 0; j2 < j_end; j2++) { mj = max(mj, s[j2]); }
    let j2 = j0 + lane;
    if (j2 < dims.P + i + 1) { p[lane] = exp_f32(s[j2 - j0] - mj); }
    workgroupBarrier();
    var lj = 0.0;
    let j_end2 = min(64, dims.P + i + 1 - j0);
    for (var j3 = 0; j3 < j_end2; j3++) { lj += p[j3]; }
    let m_next = max(m, mj);
    let exp3 = exp_f32(m - m_next);
    let l_next = l * exp3 + lj * exp_f32(mj - m_next);
    let e = lane;
    var oj = 0.0;
    let v_base = k_base + e + j0 * 64;
    let j_end3 = min(64, dims.P + i + 1 - j0);
    for (var j3 = 0; j3 < j_end3; j3++) { oj += p[j3] * v[v_base + j3 * 64]; }
    o = o * exp3 + oj * exp_f32(mj - m_next); m = m_next; l = l_next;
  }
  let e = lane;
  out[e + h * 64 + i * 128] = o / l;
}
