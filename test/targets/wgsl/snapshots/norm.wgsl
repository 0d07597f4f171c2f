@group(0) @binding(1) var<storage, read> a: array<vec4f>; // f32[T, 300]
@group(0) @binding(2) var<storage, read> h: array<vec4f>; // f32[T, 300]
@group(0) @binding(3) var<storage, read> g: array<vec4f>; // f32[300]
@group(0) @binding(4) var<storage, read> b: array<vec4f>; // f32[300]
@group(0) @binding(5) var<storage, read_write> s: array<vec4f>; // f32[T, 300]
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>; // f32[T, 300]

struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }

struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;

var<workgroup> folded: array<f32, 64>;
var<workgroup> parts: array<f32, 8>;
fn sum_of_threads(lane: i32, value: f32) -> f32 {
  folded[lane] = value;
  workgroupBarrier();
  if (lane < 8) {
    var piece = folded[lane * 8];
    let folded_base = lane * 8;
    for (var i = 1; i < 8; i++) { piece += folded[folded_base + i]; }
    parts[lane] = piece;
  }
  workgroupBarrier();
  var total = parts[0];
  for (var i = 1; i < 8; i++) { total += parts[i]; }
  return total;
}

@compute @workgroup_size(64)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let row = i32(at.group.x + at.group.y * at.groups.x);
  if (row >= dims.T) { return; }
  let lane = i32(thread.x);
  let s_0 = a[lane + row * 75] + h[lane + row * 75];
  let s_1 = a[min(74, lane + 64) + row * 75] + h[min(74, lane + 64) + row * 75];
  s[lane + row * 75] = s_0;
  if (lane + 64 < 75) { s[lane + row * 75 + 64] = s_1; }
  var total_own_lanes = s_0;
  if (lane + 64 < 75) { total_own_lanes += s_1; }
  let total_own = dot(total_own_lanes, vec4f(1.0));
  let total = sum_of_threads(lane, total_own);
  let div = total / 300.0;
  let t = vec4f(div);
  let held_0 = s_0 - t;
  let held_1 = s_1 - t;
  var spread_own_lanes = held_0 * held_0;
  if (lane + 64 < 75) { spread_own_lanes += held_1 * held_1; }
  let spread_own = dot(spread_own_lanes, vec4f(1.0));
  let spread = sum_of_threads(lane, spread_own);
  let sqrt2 = sqrt(spread / 300.0 + 1e-5);
  let t2 = vec4f(sqrt2);
  y[lane + row * 75] = held_0 / t2 * g[lane] + b[lane];
  if (lane + 64 < 75) { y[lane + row * 75 + 64] = held_1 / t2 * g[lane + 64] + b[lane + 64]; }
}
