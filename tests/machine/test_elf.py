"""Compared with `readelf` of binutils on real libraries, and with files that are none."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.machine.elf import needed_libraries


def real_libraries() -> list[Path]:
    numpy = pytest.importorskip("numpy")
    return sorted(Path(numpy.__file__).parent.rglob("*.so"))[:10]


def test_the_needed_libraries_are_those_the_binutils_name() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf")
    libraries = real_libraries()
    for path in libraries:
        text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        assert list(needed_libraries(path)) == re.findall(r"\(NEEDED\).*\[(.+)\]", text)
    assert any(needed_libraries(path) for path in libraries)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x02\x01" + b"\xff" * 58])
def test_other_files_need_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert needed_libraries(tmp_path / "file") == ()
    assert needed_libraries(tmp_path / "nowhere") == ()


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 4095), value=st.integers(0, 255), length=st.integers(0, 1 << 16))
def test_a_damaged_library_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, length: int
) -> None:
    libraries = real_libraries()
    if not libraries:
        pytest.skip("NumPy has no shared objects here")
    data = bytearray(libraries[0].read_bytes()[: 4096 + length])
    data[place] = value
    path = tmp_path_factory.mktemp("elf") / "damaged.so"
    path.write_bytes(data)
    assert all(isinstance(name, str) for name in needed_libraries(path))
