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
  let a_base = row * 300;
  for (var c = lane; c < 300; c += 128) { s[a_base + c] = a[a_base + c] + h[a_base + c]; }
  var total_own = 0.0;
  for (var c = lane; c < 300; c += 128) { total_own += s[a_base + c]; }
  let total = sum_of_threads(lane, total_own);
  var spread_own = 0.0;
  let quotient = total / 300.0;
  for (var c = lane; c < 300; c += 128) {
    let difference = s[a_base + c] - quotient;
    spread_own += difference * difference;
  }
  let spread = sum_of_threads(lane, spread_own);
  let sqrt2 = sqrt(spread / 300.0 + 1e-5);
  for (var c = lane; c < 300; c += 128) {
    y[a_base + c] = (s[a_base + c] - quotient) / sqrt2 * g[c] + b[c];
  }
}
