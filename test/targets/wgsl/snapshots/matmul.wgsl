struct Dims { T: i32, P: i32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // f32[T, 64]
@group(0) @binding(2) var<storage, read> w: array<f32>; // f32[64, 128]
@group(0) @binding(3) var<storage, read> b: array<f32>; // f32[128]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // f32[T, 128]
@group(0) @binding(5) var<storage, read_write> z: array<f32>; // f32[127, T]

// What becomes of one sum.
fn finish(row: i32, column: i32, sum: f32) {
  y[row * 128 + column] = max(sum + b[column], 0.0);
  if (column < 127) { z[dims.T * column + row] = sum + b[column]; }
}

var<workgroup> partial_few: array<f32, 1024>;
@compute @workgroup_size(16, 16)
fn main_few(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(group.x + group.y * groups.x);
  if (tile >= (dims.T + 3) / 4 * 8) { return; }
  let tile_n = tile % 8;
  let tile_m = tile / 8;
  let ly = i32(thread.y);
  let lx = i32(thread.x);
  let column = tile_n * 16 + lx;
  let row0 = tile_m * 4;
  let row1 = min(dims.T - 1, tile_m * 4 + 1);
  let row2 = min(dims.T - 1, tile_m * 4 + 2);
  let row3 = min(dims.T - 1, tile_m * 4 + 3);
  var acc0 = 0.0; var acc1 = 0.0; var acc2 = 0.0; var acc3 = 0.0;
  let x_base = row0 * 64;
  let x_base2 = row1 * 64;
  let x_base3 = row2 * 64;
  let x_base4 = row3 * 64;
  for (var k = ly; k < 64; k += 16) {
    let b2 = w[column + k * 128];
    acc0 += x[x_base + k] * b2; acc1 += x[x_base2 + k] * b2; acc2 += x[x_base3 + k] * b2;
    acc3 += x[x_base4 + k] * b2;
  }
  partial_few[lx + ly * 16] = acc0;
  partial_few[lx + ly * 16 + 256] = acc1;
  partial_few[lx + ly * 16 + 512] = acc2;
  partial_few[lx + ly * 16 + 768] = acc3;
  workgroupBarrier();
  if (ly == 0) {
    let column2 = tile_n * 16 + lx;
    for (var r = 0; r < 4; r++) {
      let row = tile_m * 4 + r;
      if (row < dims.T) {
        var sum = 0.0;
        let partial_base = lx + r * 256;
        for (var s = 0; s < 16; s++) { sum += partial_few[partial_base + s * 16]; }
        finish(row, column2, sum);
      }
    }
  }
}

var<workgroup> tile_a: array<f32, 1088>;
var<workgroup> tile_b: array<f32, 1040>;
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let tile = i32(group.x + group.y * groups.x);
  if (tile >= (dims.T + 63) / 64 * 2) { return; }
  let tile_n = tile % 2;
  let tile_m = tile / 2;
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
  for (var k0 = 0; k0 < 64; k0 += 16) {
    let tile_a_base3 = tile_a_base2 + lx;
    for (var u = 0; u < 4; u++) {
      let row = min(dims.T - 1, tile_m * 64 + ly + u * 16);
      let k = lx + k0;
      tile_a[tile_a_base3 + u * 272] = x[row * 64 + k];
    }
    for (var u = 0; u < 4; u++) {
      let column = tile_n * 64 + lx + u * 16;
      let k = ly + k0;
      tile_b[tile_b_base + u * 16] = w[column + k * 128];
    }
    workgroupBarrier();
    for (var k = 0; k < 16; k++) {
      let tile_a_base4 = tile_a_base2 + k;
      let tile_b_base2 = lx + k * 65;
      for (var r = 0; r < 4; r++) {
        let a = tile_a[tile_a_base4 + r * 272];
        let acc_base = r * 4;
        for (var c = 0; c < 4; c++) {
          acc[acc_base + c] = acc[acc_base + c] + a * tile_b[tile_b_base2 + c * 16];
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0; r < 4; r++) {
    let row = tile_m * 64 + ly + r * 16;
    if (row < dims.T) {
      let acc_base = r * 4;
      for (var c = 0; c < 4; c++) {
        let column = tile_n * 64 + lx + c * 16;
        let sum = acc[acc_base + c];
        finish(row, column, sum);
      }
    }
  }
}
