#!/usr/bin/env bash
# Makes one archive of all that run.sh needs, for a machine (linux-x64) that reaches no registry: bash bench/gpu/pack.sh [archive.tar.xz]
# NODE_TARBALL=node-v20….tar.xz puts a Node into it. There: tar -xf archive.tar.xz && bash tfm-gpu/bench/gpu/run.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/tfm-gpu.tar.xz}
cd "$root"
[ -d node_modules ] || npm ci --no-audit --no-fund
npm run --silent build
[ -d bench/gpu/node_modules ] || (cd bench/gpu && npm ci --ignore-scripts --no-audit --no-fund)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
to=$work/tfm-gpu
mkdir -p "$to/bench/gpu" "$to/bench/peers" "$to/examples" "$to/node_modules"
cp -r package.json dist std targets "$to/"
cp -r bench/peers/models "$to/bench/peers/"
for name in gpt2 bert; do mkdir -p "$to/examples/$name"; cp examples/$name/*.tfm examples/$name/*.json "$to/examples/$name/" 2>/dev/null || true; done
cp bench/gpu/{run.sh,pack.sh,README.md,package.json,package-lock.json} "$to/bench/gpu/"
# Packages that the compiler needs at run time, with what those need.
node - "$root" "$to" <<'NODE'
const fs = require('node:fs'), path = require('node:path')
const [root, to] = process.argv.slice(2)
const copy = (from, into, keep) => fs.cpSync(from, into, { recursive: true, dereference: true, filter: (file) => keep(path.relative(from, file)) })
const lock = JSON.parse(fs.readFileSync(path.join(root, 'node_modules/.package-lock.json'), 'utf8')).packages
const seen = new Set()
const add = (name) => {
  const at = `node_modules/${name}`
  if (seen.has(at) || !lock[at]) return
  seen.add(at)
  // Types, maps and what is for other machines are not needed there.
  const elsewhere = name === 'webgpu' ? /^dist\/(?!linux-x64|index)/ : name === '@sparticuz/chromium' ? /^bin\/(?!swiftshader)/ : /$^/
  copy(path.join(root, at), path.join(to, at), (file) => !/\.(map|d\.ts|d\.cts|d\.mts|md)$/.test(file) && !(elsewhere.test(file) && path.extname(file) !== ''))
  for (const need of Object.keys(lock[at].dependencies ?? {})) add(need)
}
const { dependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
for (const name of Object.keys(dependencies)) if (name !== 'prettier') add(name)
add('webgpu')
copy(path.join(root, 'node_modules/@sparticuz/chromium'), path.join(to, 'node_modules/@sparticuz/chromium'), (file) => /^($|package\.json$|bin$|bin\/swiftshader)/.test(file))
// Of ONNX Runtime: WebGPU and plain WebAssembly.
copy(path.join(root, 'bench/gpu/node_modules'), path.join(to, 'bench/gpu/node_modules'), (file) => {
  if (/\.(map|d\.ts|d\.cts|md)$/.test(file)) return false
  const own = /^onnxruntime-web\/(dist|lib|docs)\/(.*)$/.exec(file)
  return !own || (own[1] === 'dist' && /^(ort\.node\.min\.m?js|ort\.webgpu\.(bundle\.)?min\.mjs|ort-wasm-simd-threaded\.(asyncify\.)?(mjs|wasm))$/.test(own[2]))
})
NODE
find "$to/dist" \( -name '*.map' -o -name '*.d.ts' \) -delete
[ -z "${NODE_TARBALL:-}" ] || cp "$NODE_TARBALL" "$to/bench/gpu/"
tar -C "$work" -cf - tfm-gpu | xz -T0 -6 > "$out"
ls -lh "$out" | awk '{print $9, $5}'
