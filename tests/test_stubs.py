"""The committed stubs are what the .proto files compile to."""

import os
import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).parents[1] / "protos"


def _stubs(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*_pb2*") if path.suffix in {".py", ".pyi"})
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_stubs_are_those_of_the_proto_files(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([PROTOS / "compile.sh", tmp_path], env=environment, check=True, capture_output=True)

    compiled, committed = _stubs(tmp_path), _stubs(PROTOS)
    assert compiled, "nothing was compiled"
    assert sorted(committed) == sorted(compiled)
    drifted = [name for name in compiled if committed[name] != compiled[name]]
    assert drifted == [], "run `make protos`"


def test_compiling_removes_stubs_of_proto_files_that_are_gone(tmp_path: Path) -> None:
    stale = tmp_path / "tertium" / "v1" / "gone_pb2.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    kept = stale.with_name("notes.txt")
    kept.write_text("")

    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run([PROTOS / "compile.sh", tmp_path], env=environment, check=True, capture_output=True)

    assert not stale.exists()
    assert kept.exists()
