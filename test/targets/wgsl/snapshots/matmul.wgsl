const K = 64;
const N = 128;
@group(0) @binding(1) var<storage, read> a: array<f32>; // x f32[T, 64]
@group(0) @binding(2) var<storage, read> b: array<f32>; // w f32[64, 128]
@group(0) @binding(3) var<storage, read> b2: array<f32>; // f32[128]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // f32[T, 128]
@group(0) @binding(5) var<storage, read_write> z: array<f32>; // f32[127, T]

fn finish(row: i32, column: i32, sum: f32) {
  y[column + row * 128] = max(sum + b2[column], 0.0);
  if (column < 127) { z[column * dims.T + row] = sum + b2[column]; }
}

struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }

struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;

var<workgroup> partial_few: array<f32, 1024>;
@compute @workgroup_size(32, 8)
fn main_few(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= (N + 31) / 32 * ((dims.T + 3) / 4)) { return; }
  let tile_n = tile % ((N + 31) / 32);
  let tile_m = tile / ((N + 31) / 32);
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  let column = min(N - 1, lx + tile_n * 32);
  let row0 = tile_m * 4;
  let row1 = min(dims.T - 1, tile_m * 4 + 1);
  let row2 = min(dims.T - 1, tile_m * 4 + 2);
  let row3 = min(dims.T - 1, tile_m * 4 + 3);
  var acc0 = 0.0; var acc1 = 0.0; var acc2 = 0.0; var acc3 = 0.0;
  let a_base = K * row0;
  let a_base2 = K * row1;
  let a_base3 = K * row2;
  let a_base4 = K * row3;
  for (var ki = ly; ki < K; ki += 8) {
    let b3 = b[N * ki + column];
    acc0 += a[a_base + ki] * b3; acc1 += a[a_base2 + ki] * b3; acc2 += a[a_base3 + ki] * b3;
    acc3 += a[a_base4 + ki] * b3;
  }
  partial_few[lx + ly * 32] = acc0;
  partial_few[lx + ly * 32 + 256] = acc1;
  partial_few[lx + ly * 32 + 512] = acc2;
  partial_few[lx + ly * 32 + 768] = acc3;
  workgroupBarrier();
  if (ly == 0) {
    let column2 = lx + tile_n * 32;
    if (column2 < N) {
      for (var r = 0; r < 4; r++) {
        let row = r + tile_m * 4;
        if (row < dims.T) {
          var sum = 0.0;
          let partial_base = lx + r * 256;
          for (var s = 0; s < 8; s++) { sum += partial_few[partial_base + s * 32]; }
          finish(row, column2, sum);
        }
      }
    }
  }
}

var<workgroup> tile_a: array<f32, 1088>;
var<workgroup> tile_b: array<f32, 1040>;
@compute @workgroup_size(16, 16)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= (N + 63) / 64 * ((dims.T + 63) / 64)) { return; }
  let tile_n = tile % ((N + 63) / 64);
  let tile_m = tile / ((N + 63) / 64);
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  var acc: array<f32, 16>;
  for (var r = 0; r < 4; r++) {
    let acc_base = r * 4;
    for (var c = 0; c < 4; c++) { acc[acc_base + c] = 0.0; }
  }
  let tile_a_base = lx + ly * 17;
  let tile_b_base = lx + ly * 65;
  let tile_a_base2 = ly * 17;
  for (var k0 = 0; k0 < K; k0 += 16) {
    let tile_a_base3 = tile_a_base2 + lx;
    for (var u = 0; u < 4; u++) {
      let row = min(dims.T - 1, ly + tile_m * 64 + u * 16);
      let ki = k0 + lx;
      tile_a[tile_a_base3 + u * 272] = a[K * row + ki];
    }
    for (var u = 0; u < 4; u++) {
      let column = min(N - 1, lx + tile_n * 64 + u * 16);
      let ki = k0 + ly;
      tile_b[tile_b_base + u * 16] = b[N * ki + column];
    }
    workgroupBarrier();
    for (var ki = 0; ki < 16; ki++) {
      let tile_a_base4 = tile_a_base2 + ki;
      let tile_b_base2 = ki * 65 + lx;
      for (var r = 0; r < 4; r++) {
        let a2 = tile_a[tile_a_base4 + r * 272];
        let acc_base = r * 4;
        for (var c = 0; c < 4; c++) { acc[acc_base + c] += a2 * tile_b[tile_b_base2 + c * 16]; }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0; r < 4; r++) {
    let row = ly + r * 16 + tile_m * 64;
    if (row < dims.T) {
      let acc_base = r * 4;
      for (var c = 0; c < 4; c++) {
        let column = c * 16 + lx + tile_n * 64;
        if (column < N) {
          let sum = acc[acc_base + c];
          finish(row, column, sum);
        }
      }
    }
  }
}
