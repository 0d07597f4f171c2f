@group(0) @binding(1) var<storage, read> a: array<f32>; // f32[T, 300]
@group(0) @binding(2) var<storage, read> h: array<f32>; // f32[T, 300]
@group(0) @binding(3) var<storage, read> g: array<f32>; // f32[300]
@group(0) @binding(4) var<storage, read> b: array<f32>; // f32[300]
@group(0) @binding(5) var<storage, read_write> s: array<f32>; // f32[T, 300]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // f32[T, 300]

struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }

struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;

var<workgroup> folded: array<f32, 128>;
var<workgroup> parts: array<f32, 8>;
fn sum_of_threads(lane: i32, value: f32) -> f32 {
  folded[lane] = value;
  workgroupBarrier();
  if (lane < 8) {
    var piece = folded[lane * 16];
    let folded_base = lane * 16;
    for (var i = 1; i < 16; i++) { piece += folded[folded_base + i]; }
    parts[lane] = piece;
  }
  workgroupBarrier();
  var total = parts[0];
  for (var i = 1; i < 8; i++) { total += parts[i]; }
  return total;
}

@compute @workgroup_size(128)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let row = i32(at.group.x + at.group.y * at.groups.x);
  if (row >= dims.T) { return; }
  let lane = i32(thread.x);
  let s_0 = a[lane + row * 300] + h[lane + row * 300];
  let s_1 = a[lane + row * 300 + 128] + h[lane + row * 300 + 128];
  let s_2 = a[min(299, lane + 256) + row * 300] + h[min(299, lane + 256) + row * 300];
  s[lane + row * 300] = s_0;
  s[lane + row * 300 + 128] = s_1;
  if (lane + 256 < 300) { s[lane + row * 300 + 256] = s_2; }
  var total_own = s_0;
  total_own += s_1;
  if (lane + 256 < 300) { total_own += s_2; }
  let total = sum_of_threads(lane, total_own);
  let div = total / 300.0;
  let held_0 = s_0 - div;
  let held_1 = s_1 - div;
  let held_2 = s_2 - div;
  var spread_own = held_0 * held_0;
  spread_own += held_1 * held_1;
  if (lane + 256 < 300) { spread_own += held_2 * held_2; }
  let spread = sum_of_threads(lane, spread_own);
  let sqrt2 = sqrt(spread / 300.0 + 1e-5);
  y[lane + row * 300] = held_0 / sqrt2 * g[lane] + b[lane];
  y[lane + row * 300 + 128] = held_1 / sqrt2 * g[lane + 128] + b[lane + 128];
  if (lane + 256 < 300) { y[lane + row * 300 + 256] = held_2 / sqrt2 * g[lane + 256] + b[lane + 256]; }
}
