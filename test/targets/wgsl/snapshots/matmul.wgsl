const K4 = 16;
const N4 = 32;
@group(0) @binding(1) var<storage, read> a: array<vec4f>; // x f32[T, 64]
@group(0) @binding(2) var<storage, read> b: array<vec4f>; // w f32[64, 128]
@group(0) @binding(3) var<storage, read> b2: array<f32>; // f32[128]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // f32[T, 128]
@group(0) @binding(5) var<storage, read_write> z: array<f32>; // f32[127, T]

fn finish(row: i32, column4: i32, sums: vec4f) {
  var each = sums;
  let b_base = column4 * 4;
  let y_base = b_base + row * 128;
  let z_base = column4 * dims.T * 4 + row;
  for (var c = 0; c < 4; c++) {
    let sum = each[c];
    y[y_base + c] = max(sum + b2[b_base + c], 0.0);
    if (b_base + c < 127) { z[z_base + c * dims.T] = sum + b2[b_base + c]; }
  }
}

struct Place { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u }

struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;

@compute @workgroup_size(32)
fn main_direct(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= (N4 + 31) / 32 * ((dims.T + 3) / 4)) { return; }
  let tile_n = tile % ((N4 + 31) / 32);
  let tile_m = tile / ((N4 + 31) / 32);
  let lane = i32(thread.x);
  let column4 = lane + tile_n * 32;
  if (column4 < N4) {
    let row0 = tile_m * 4;
    let row1 = min(dims.T - 1, tile_m * 4 + 1);
    let row2 = min(dims.T - 1, tile_m * 4 + 2);
    let row3 = min(dims.T - 1, tile_m * 4 + 3);
    var acc0 = vec4f(); var acc1 = vec4f(); var acc2 = vec4f(); var acc3 = vec4f();
    let b_base = N4 * 2 + column4;
    let b_base2 = N4 * 3 + column4;
    let a_base = K4 * row0;
    let a_base2 = K4 * row1;
    let a_base3 = K4 * row2;
    let a_base4 = K4 * row3;
    for (var k4 = 0; k4 < K4; k4++) {
      let b_0 = b[N4 * k4 * 4 + column4]; let b_1 = b[N4 + N4 * k4 * 4 + column4];
      let b_2 = b[b_base + N4 * k4 * 4]; let b_3 = b[b_base2 + N4 * k4 * 4]; let a_0 = a[a_base + k4];
      let a_1 = a[a_base2 + k4]; let a_2 = a[a_base3 + k4]; let a_3 = a[a_base4 + k4];
      acc0 += a_0.x * b_0; acc0 += a_0.y * b_1; acc0 += a_0.z * b_2; acc0 += a_0.w * b_3; acc1 += a_1.x * b_0;
      acc1 += a_1.y * b_1; acc1 += a_1.z * b_2; acc1 += a_1.w * b_3; acc2 += a_2.x * b_0; acc2 += a_2.y * b_1;
      acc2 += a_2.z * b_2; acc2 += a_2.w * b_3; acc3 += a_3.x * b_0; acc3 += a_3.y * b_1; acc3 += a_3.z * b_2;
      acc3 += a_3.w * b_3;
    }
    finish(tile_m * 4, column4, acc0);
    if (tile_m * 4 + 1 < dims.T) { finish(tile_m * 4 + 1, column4, acc1); }
    if (tile_m * 4 + 2 < dims.T) { finish(tile_m * 4 + 2, column4, acc2); }
    if (tile_m * 4 + 3 < dims.T) { finish(tile_m * 4 + 3, column4, acc3); }
  }
}

var<workgroup> partial_few: array<vec4f, 128>;
@compute @workgroup_size(2, 16)
fn main_few(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= (N4 + 1) / 2 * ((dims.T + 3) / 4)) { return; }
  let tile_n = tile % ((N4 + 1) / 2);
  let tile_m = tile / ((N4 + 1) / 2);
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  let column4 = min(N4 - 1, lx + tile_n * 2);
  let row0 = tile_m * 4;
  let row1 = min(dims.T - 1, tile_m * 4 + 1);
  let row2 = min(dims.T - 1, tile_m * 4 + 2);
  let row3 = min(dims.T - 1, tile_m * 4 + 3);
  var acc0 = vec4f(); var acc1 = vec4f(); var acc2 = vec4f(); var acc3 = vec4f();
  let b_base = N4 * 2 + column4;
  let b_base2 = N4 * 3 + column4;
  let a_base = K4 * row0;
  let a_base2 = K4 * row1;
  let a_base3 = K4 * row2;
  let a_base4 = K4 * row3;
  for (var k4 = ly; k4 < K4; k4 += 16) {
    let b_0 = b[N4 * k4 * 4 + column4]; let b_1 = b[N4 + N4 * k4 * 4 + column4];
    let b_2 = b[b_base + N4 * k4 * 4]; let b_3 = b[b_base2 + N4 * k4 * 4]; let a_0 = a[a_base + k4];
    let a_1 = a[a_base2 + k4]; let a_2 = a[a_base3 + k4]; let a_3 = a[a_base4 + k4];
    acc0 += a_0.x * b_0; acc0 += a_0.y * b_1; acc0 += a_0.z * b_2; acc0 += a_0.w * b_3; acc1 += a_1.x * b_0;
    acc1 += a_1.y * b_1; acc1 += a_1.z * b_2; acc1 += a_1.w * b_3; acc2 += a_2.x * b_0; acc2 += a_2.y * b_1;
    acc2 += a_2.z * b_2; acc2 += a_2.w * b_3; acc3 += a_3.x * b_0; acc3 += a_3.y * b_1; acc3 += a_3.z * b_2;
    acc3 += a_3.w * b_3;
  }
  partial_few[lx + ly * 2] = acc0; partial_few[lx + ly * 2 + 32] = acc1; partial_few[lx + ly * 2 + 64] = acc2;
  partial_few[lx + ly * 2 + 96] = acc3;
  workgroupBarrier();
  if (ly < 4) {
    let partial_base = lx + ly * 2;
    for (var r = 0; r < 4; r++) {
      var piece = partial_few[partial_base + r * 32];
      let partial_base2 = partial_base + r * 32;
      for (var s = 1; s < 4; s++) { piece += partial_few[partial_base2 + s * 8]; }
      partial_few[partial_base2] = piece;
    }
  }
  workgroupBarrier();
  if (ly < 4) {
    let out4 = lx + tile_n * 2;
    if (out4 < N4) {
      if (ly + tile_m * 4 < dims.T) {
        var sums = partial_few[lx + ly * 32];
        let partial_base = lx + ly * 32;
        for (var s = 1; s < 4; s++) { sums += partial_few[partial_base + s * 2]; }
        finish(ly + tile_m * 4, out4, sums);
      }
    }
  }
}

var<workgroup> tile_a: array<vec4f, 256>;
var<workgroup> tile_b: array<vec4f, 256>;
@compute @workgroup_size(16, 8)
fn main(at: Place, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(at.group.x + at.group.y * at.groups.x);
  if (tile >= (N4 + 15) / 16 * ((dims.T + 63) / 64)) { return; }
  let tile_n = tile % ((N4 + 15) / 16);
  let tile_m = tile / ((N4 + 15) / 16);
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  let from_m0 = min(dims.T - 1, lx / 4 + ly * 4 + tile_m * 64);
  let from_m1 = min(dims.T - 1, lx / 4 + ly * 4 + tile_m * 64 + 32);
  let from_n0 = min(N4 - 1, lx + tile_n * 16);
  var acc0 = vec4f(); var acc1 = vec4f(); var acc2 = vec4f(); var acc3 = vec4f(); var acc4 = vec4f();
  var acc5 = vec4f(); var acc6 = vec4f(); var acc7 = vec4f();
  let a_base = K4 * from_m0 + lx % 4;
  let a_base2 = K4 * from_m1 + lx % 4;
  let b_base = N4 * ly + from_n0;
  let b_base2 = b_base + N4 * 8;
  let tile_a_base = lx + ly * 16;
  let tile_a_base2 = ly * 4;
  for (var k4 = 0; k4 < K4; k4 += 4) {
    let next_a0 = a[a_base + k4]; let next_a1 = a[a_base2 + k4]; let next_b0 = b[b_base + N4 * k4 * 4];
    let next_b1 = b[b_base2 + N4 * k4 * 4];
    tile_a[tile_a_base] = next_a0; tile_a[tile_a_base + 128] = next_a1; tile_b[tile_a_base] = next_b0;
    tile_b[tile_a_base + 128] = next_b1;
    workgroupBarrier();
    for (var ki = 0; ki < 4; ki++) {
      let b_0 = tile_b[ki * 64 + lx]; let b_1 = tile_b[ki * 64 + lx + 16]; let b_2 = tile_b[ki * 64 + lx + 32];
      let b_3 = tile_b[ki * 64 + lx + 48]; let a_0 = tile_a[tile_a_base2 + ki];
      acc0 += a_0.x * b_0; acc0 += a_0.y * b_1; acc0 += a_0.z * b_2; acc0 += a_0.w * b_3;
      let a_1 = tile_a[tile_a_base2 + ki + 32];
      acc1 += a_1.x * b_0; acc1 += a_1.y * b_1; acc1 += a_1.z * b_2; acc1 += a_1.w * b_3;
      let a_2 = tile_a[tile_a_base2 + ki + 64];
      acc2 += a_2.x * b_0; acc2 += a_2.y * b_1; acc2 += a_2.z * b_2; acc2 += a_2.w * b_3;
      let a_3 = tile_a[tile_a_base2 + ki + 96];
      acc3 += a_3.x * b_0; acc3 += a_3.y * b_1; acc3 += a_3.z * b_2; acc3 += a_3.w * b_3;
      let a_4 = tile_a[tile_a_base2 + ki + 128];
      acc4 += a_4.x * b_0; acc4 += a_4.y * b_1; acc4 += a_4.z * b_2; acc4 += a_4.w * b_3;
      let a_5 = tile_a[tile_a_base2 + ki + 160];
      acc5 += a_5.x * b_0; acc5 += a_5.y * b_1; acc5 += a_5.z * b_2; acc5 += a_5.w * b_3;
      let a_6 = tile_a[tile_a_base2 + ki + 192];
      acc6 += a_6.x * b_0; acc6 += a_6.y * b_1; acc6 += a_6.z * b_2; acc6 += a_6.w * b_3;
      let a_7 = tile_a[tile_a_base2 + ki + 224];
      acc7 += a_7.x * b_0; acc7 += a_7.y * b_1; acc7 += a_7.z * b_2; acc7 += a_7.w * b_3;
    }
    workgroupBarrier();
  }
  let row = ly + tile_m * 64;
  let column4 = lx + tile_n * 16;
  if (column4 < N4) {
    if (row < dims.T) { finish(row, column4, acc0); }
    if (row + 8 < dims.T) { finish(row + 8, column4, acc1); }
    if (row + 16 < dims.T) { finish(row + 16, column4, acc2); }
    if (row + 24 < dims.T) { finish(row + 24, column4, acc3); }
    if (row + 32 < dims.T) { finish(row + 32, column4, acc4); }
    if (row + 40 < dims.T) { finish(row + 40, column4, acc5); }
    if (row + 48 < dims.T) { finish(row + 48, column4, acc6); }
    if (row + 56 < dims.T) { finish(row + 56, column4, acc7); }
  }
}
