#!/usr/bin/env bash
# Compiles protos/**/*.proto into Python stubs beside them, or, for the drift test, below another folder:
#
#     protos/compile.sh [FOLDER]
#
# Needs the extra "dev" in the environment of $PYTHON (default: .venv/bin/python). The same inputs give the same bytes: the tools are pinned
# exactly in pyproject.toml. Stubs of .proto files that are gone are removed. Only files with a service get *_pb2_grpc stubs.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "$0")/.." && pwd)
target=$(mkdir -p "${1:-$root/protos}" && cd "${1:-$root/protos}" && pwd)
python=${PYTHON:-$root/.venv/bin/python}
plugin=$(dirname "$("$python" -c 'import sys; print(sys.executable)')")/protoc-gen-mypy_grpc

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

cd "$root/protos"
mapfile -t messages < <(find tertium -name '*.proto' | sort)
mapfile -t services < <(grep -lE '^service ' "${messages[@]}")

"$python" -m grpc_tools.protoc --proto_path=. --python_out="$fresh" --pyi_out="$fresh" "${messages[@]}"
# "only_async" is the spelling that mypy-protobuf heeds; its README's "async_only" is silently ignored.
"$python" -m grpc_tools.protoc --proto_path=. --grpc_python_out="$fresh" \
    --plugin=protoc-gen-mypy_grpc="$plugin" --mypy_grpc_out=only_async,quiet:"$fresh" "${services[@]}"

# Only now, with everything compiled, is the target touched, and of it only what differs: nobody who imports the stubs meanwhile misses one.
cd "$fresh"
find tertium -type f | sort | while read -r stub; do
    if ! cmp -s "$stub" "$target/$stub"; then
        mkdir -p "$(dirname "$target/$stub")"
        cp "$stub" "$target/$stub"
        echo "protos: wrote $stub"
    fi
done
cd "$target"
find tertium -name '*_pb2*.py*' -not -name '*.pyc' | sort | while read -r stub; do
    if [ ! -e "$fresh/$stub" ]; then
        rm "$stub"
        echo "protos: removed $stub"
    fi
done
