#!/usr/bin/env bash
# Runs the benchmark on a machine with a graphics card, unattended: bash bench/gpu/run.sh [--quick] [--only …] [--without …] [--out file]
# Needs Node ≥ 20.20: NODE=/path/to/node, or one in PATH, or NODE_TARBALL=/path/to/node-v20….tar.xz, or the one that pack.sh put beside this.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

good() { [ -n "${1:-}" ] && "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' 2>/dev/null; }
node=${NODE:-}
good "$node" || node=$(command -v node || true)
good "$node" || node="$here/node/bin/node"
if ! good "$node"; then
  tarball=${NODE_TARBALL:-$(ls "$here"/node-v*.tar.* 2>/dev/null | head -1 || true)}
  [ -n "$tarball" ] || { echo "no Node ≥ 20.20: set NODE or NODE_TARBALL" >&2; exit 2; }
  mkdir -p "$here/node"
  tar -xf "$tarball" -C "$here/node" --strip-components=1
  node="$here/node/bin/node"
  good "$node" || { echo "$tarball holds no Node ≥ 20.20 for this machine" >&2; exit 2; }
fi
PATH="$(dirname "$node"):$PATH"; export PATH

# NVIDIA's Vulkan driver in a container often lacks the file that names it, and the loader. SwiftShader's package brings the loader.
if [ -z "${VK_DRIVER_FILES:-}" ] && [ -e /dev/nvidiactl ]; then
  for icd in /usr/share/vulkan/icd.d/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.x86_64.json; do
    [ -e "$icd" ] && { VK_DRIVER_FILES=$icd; break; }
  done
  if [ -z "${VK_DRIVER_FILES:-}" ]; then
    library=$( (ldconfig -p 2>/dev/null | sed -n 's/.*=> \(.*libGLX_nvidia\.so\.0\)$/\1/p'; ls /usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0 /usr/lib64/libGLX_nvidia.so.0 2>/dev/null) | head -1 || true)
    if [ -n "$library" ]; then
      mkdir -p "$here/.cache"
      VK_DRIVER_FILES="$here/.cache/nvidia_icd.json"
      printf '{"file_format_version":"1.0.1","ICD":{"library_path":"%s","api_version":"1.3.275"}}\n' "$library" > "$VK_DRIVER_FILES"
    else
      echo "there is an NVIDIA card, but not its Vulkan driver (libGLX_nvidia.so.0): a container needs NVIDIA_DRIVER_CAPABILITIES=all, or graphics" >&2
    fi
  fi
  # The older name of the variable is what older loaders read.
  if [ -n "${VK_DRIVER_FILES:-}" ]; then export VK_DRIVER_FILES VK_ICD_FILENAMES="$VK_DRIVER_FILES"; fi
fi

cd "$root"
if [ ! -e dist/bench/gpu/main.js ]; then
  [ -d node_modules ] || npm ci --no-audit --no-fund
  npm run --silent build
fi
exec node --max-old-space-size=16384 dist/bench/gpu/main.js "$@"
