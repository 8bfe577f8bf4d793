"""What is remembered of libraries that were tried, and what is done with it."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from inference_models import config
from inference_models.errors import EnvironmentConfigurationError
from inference_models.machine import verdicts as probe_verdicts
from inference_models.machine.libraries import Library, find_library
from inference_models.machine.verdicts import FAILURE_LIFETIME_S, FOLDER, ensure_importable, verdict_of
from machines import LIBRARIES, install, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference_models.machine.verdicts import Verdict

LIBRARY = LIBRARIES["tensorrt"]
"""One that no test imports, so that this process has to ask."""
SHELL = "it has no 'Runtime': files of it are missing"
COUNTING = "class Runtime: ...\nimport os; open({log!r}, 'a').write('x')\n"


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    probe_verdicts.forget()
    yield
    probe_verdicts.forget()


class Victim:
    """A library of ours that counts its imports."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.log = folder / "imports"
        self.path = [str(self.site), *sys.path]

    def install(self, code: str = "", version: str = "10.3.0") -> None:
        install(self.site, "tensorrt", version, tensorrt=COUNTING.format(log=str(self.log)) + code)

    @property
    def imports(self) -> int:
        return len(self.log.read_text()) if self.log.exists() else 0

    def verdict(self, *, run: bool = True, retry: bool = False) -> Verdict | None:
        distribution = find_library(LIBRARY, self.path)
        assert distribution is not None
        return verdict_of(LIBRARY, distribution, run=run, retry=retry, path=self.path)

    def problem(self) -> str | None:
        verdict = self.verdict()
        assert verdict is not None
        return verdict.problem

    def hide(self, folder: Path, code: str, name: str = "tensorrt") -> None:
        """Put a package that is no part of any distribution before it."""
        put(folder, f"{name}/__init__.py", code)
        self.path.insert(0, str(folder))


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim(tmp_path)


def files() -> list[Path]:
    return sorted((config.cache_directory() / FOLDER).glob("*"))


class TestRemembering:
    @pytest.mark.parametrize(
        ("code", "problem"), [("", None), ("os.abort()", "importing it ended the process by SIGABRT")]
    )
    def test_a_library_is_tried_once_for_all_processes(self, victim: Victim, code: str, problem: str | None) -> None:
        victim.install(code)
        for _ in range(2):
            verdict = victim.verdict()
            assert verdict is not None
            assert verdict.problem == problem
            probe_verdicts.forget()  # as another process would
        assert victim.imports == 1

    def test_nobody_is_asked_and_nothing_written_when_nobody_wants_to_wait(self, victim: Victim) -> None:
        victim.install()
        assert victim.verdict(run=False) is None
        assert (victim.imports, files()) == (0, [])

    def test_nothing_is_written_when_the_verdict_is_known(self, victim: Victim) -> None:
        victim.install()
        victim.verdict()
        (file,) = files()
        before = file.stat().st_mtime_ns, file.stat().st_ino
        probe_verdicts.forget()
        victim.verdict()
        assert (file.stat().st_mtime_ns, file.stat().st_ino) == before

    def test_the_same_version_installed_again_is_tried_again(self, victim: Victim) -> None:
        victim.install()
        victim.verdict()
        put(victim.site, "tensorrt-10.3.0.dist-info/RECORD", "tensorrt/__init__.py,,\n")
        victim.verdict()
        assert victim.imports == 2

    def test_another_version_is_tried_again(self, victim: Victim) -> None:
        victim.install()
        victim.verdict()
        shutil.rmtree(victim.site)
        victim.install(version="10.4.0")
        victim.verdict()
        assert victim.imports == 2

    def test_another_place_of_libraries_is_tried_again(self, victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
        victim.install()
        victim.verdict()
        monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/other/lib")
        victim.verdict()
        assert victim.imports == 2

    @pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "KMP_DUPLICATE_LIB_OK", "OPENBLAS_CORETYPE"])
    def test_what_mends_or_breaks_an_import_is_tried_again(
        self, victim: Victim, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        victim.install("import os\nif " + repr(name) + " not in os.environ: os.abort()\n")
        monkeypatch.delenv(name, raising=False)
        assert victim.problem() == "importing it ended the process by SIGABRT"
        monkeypatch.setenv(name, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}.get(name, "TRUE"))
        assert victim.problem() is None


class TestWhatIsFound:
    """The module that the import finds decides, not only the distribution that is installed."""

    def test_first_on_the_path_is_what_is_tried(self, victim: Victim, tmp_path: Path) -> None:
        victim.install()
        assert victim.problem() is None
        victim.hide(tmp_path / "fake", "import os; os.abort()")
        assert victim.problem() == (
            f"importing it ended the process by SIGABRT (imported from {tmp_path / 'fake/tensorrt'})"
        )

    def test_on_the_path_of_another_program_says_nothing_about_this_one(self, victim: Victim, tmp_path: Path) -> None:
        victim.install()
        victim.hide(tmp_path / "fake", "import os; os.abort()")
        assert victim.problem() is not None
        victim.path.pop(0)
        assert victim.problem() is None

    @pytest.mark.parametrize("place", ["fake/tensorrt.py", "fake/tensorrt/__init__.py"])
    def test_in_place_of_the_distribution_is_named_in_the_refusal(
        self, victim: Victim, tmp_path: Path, place: str
    ) -> None:
        victim.install()
        put(tmp_path, place, "raise RuntimeError('not it')")
        victim.path.insert(0, str(tmp_path / "fake"))
        named = tmp_path / place.removesuffix("/__init__.py")
        with pytest.raises(EnvironmentConfigurationError) as caught:
            ensure_importable(LIBRARY, path=victim.path)
        assert str(caught.value) == (
            "tensorrt 10.3.0 is installed and cannot be used here.\n"
            "needs a build of tensorrt that this machine can import; "
            f"found: RuntimeError: not it (imported from {named})\n"
            f"rename {named}, or take {tmp_path / 'fake'} off the import path"
        )

    def test_in_the_working_directory_counts_where_the_import_looks_there(
        self, victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        victim.install()
        put(tmp_path, "here/tensorrt.py", "import os; os.abort()")
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setattr(sys, "path", victim.path)
        ensure_importable(LIBRARY)
        monkeypatch.setattr(sys, "path", ["", *victim.path])
        with pytest.raises(EnvironmentConfigurationError, match=r"SIGABRT \(imported from .*here/tensorrt\.py\)"):
            ensure_importable(LIBRARY)

    def test_beside_metadata_of_an_editable_installation_is_its_own(self, victim: Victim, tmp_path: Path) -> None:
        install(victim.site, "tensorrt", "10.3.0")
        victim.hide(tmp_path / "source", "raise RuntimeError('not built')")
        assert victim.problem() == "RuntimeError: not built"

    def test_changed_on_its_own_is_tried_again(self, victim: Victim) -> None:
        victim.install()
        victim.verdict()
        put(victim.site, "tensorrt/__init__.py", "")
        assert victim.problem() == SHELL
        victim.install()
        assert victim.problem() is None
        assert victim.imports == 2

    def test_when_nothing_is_found_it_cannot_be_imported(self, victim: Victim) -> None:
        install(victim.site, "tensorrt", "10.3.0")
        assert victim.problem() == "ModuleNotFoundError: No module named 'tensorrt'"

    @pytest.mark.parametrize("left", ["tensorrt/__init__.py", "tensorrt/libs/some.so"], ids=["package", "folder"])
    def test_that_is_only_a_shell_is_a_problem(self, victim: Victim, left: str) -> None:
        install(victim.site, "tensorrt", "10.3.0")
        put(victim.site, left, "")
        assert victim.problem() == SHELL

    def test_of_numpy_counts_as_libraries_are_built_against_it(self, victim: Victim, tmp_path: Path) -> None:
        victim.install("import numpy\n")
        victim.hide(tmp_path / "old", "raise ImportError('too old')", name="numpy")
        assert victim.problem() == "ImportError: too old"
        victim.path.pop(0)
        assert victim.problem() is None


class TestFailure:
    def age(self, seconds: float) -> None:
        (file,) = files()
        kept = json.loads(file.read_text())
        file.write_text(json.dumps({**kept, "when": time.time() - seconds}))
        probe_verdicts.forget()

    @pytest.mark.parametrize(
        ("age", "imports"), [(FAILURE_LIFETIME_S - 60, 1), (FAILURE_LIFETIME_S + 60, 2), (-7200, 2)]
    )
    def test_is_tried_again_when_it_is_old_or_from_the_future(self, victim: Victim, age: float, imports: int) -> None:
        victim.install("os.abort()")
        victim.verdict()
        self.age(age)
        victim.verdict()
        assert victim.imports == imports

    def test_that_is_old_counts_as_not_known(self, victim: Victim) -> None:
        victim.install("os.abort()")
        victim.verdict()
        self.age(FAILURE_LIFETIME_S + 60)
        assert victim.verdict(run=False) is None

    def test_is_tried_again_by_those_who_look_thoroughly_and_success_is_not(self, victim: Victim) -> None:
        victim.install("os.abort()")
        victim.verdict()
        put(victim.site, "tensorrt/__init__.py", COUNTING.format(log=str(victim.log)))
        for _ in range(2):
            verdict = victim.verdict(retry=True)
            assert verdict is not None
            assert verdict.problem is None
        assert victim.imports == 2


class TestFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "[" * 100_000,
            '{"key": "of another"}',
            '{"key": KEY, "problem": 3, "facts": {}, "when": 1.0}',
            '{"key": KEY, "problem": null, "facts": [], "when": 1.0}',
            '{"key": KEY, "problem": null, "facts": {}, "when": "now"}',
            '{"key": KEY, "problem": null, "facts": {}, "when": 1.0}' + " " * (1 << 17),
            "\0\udcff",
        ],
    )
    def test_that_say_nothing_usable_cost_another_try(self, victim: Victim, text: str) -> None:
        victim.install()
        victim.verdict()
        (file,) = files()
        key = json.dumps(json.loads(file.read_text())["key"])
        file.write_bytes(text.replace("KEY", key).encode("utf-8", "surrogateescape"))
        probe_verdicts.forget()
        verdict = victim.verdict()
        assert verdict is not None
        assert (verdict.problem, victim.imports) == (None, 2)

    def test_hold_no_secret(self, victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("ROBOFLOW_API_KEY", "HF_TOKEN", "LD_LIBRARY_PATH"):
            monkeypatch.setenv(name, "/canary-7f3a")
        victim.install()
        victim.verdict()
        (file,) = files()
        assert "canary" not in file.read_text()

    def test_are_not_needed(self, victim: Victim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("INFERENCE_HOME", str(put(tmp_path, "a-file", "")))
        victim.install("os.abort()")
        for _ in range(2):
            verdict = victim.verdict()
            assert verdict is not None
            assert verdict.problem == "importing it ended the process by SIGABRT"
        assert victim.imports == 1


class TestBeforeTheImport:
    def test_a_library_that_works_is_let_through(self, victim: Victim) -> None:
        victim.install()
        ensure_importable(LIBRARY, path=victim.path)
        assert victim.imports == 1
        assert "tensorrt" not in sys.modules

    @pytest.mark.parametrize(
        ("code", "found", "fix"),
        [
            (
                "import signal; os.kill(os.getpid(), signal.SIGILL)",
                "importing it ended the process by SIGILL",
                'pip install "tensorrt<10.3.0"',
            ),
            (
                "raise ImportError('libcudart.so.12: cannot open shared object file: No such file or directory')",
                "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
                "pip install nvidia-cuda-runtime-cu12",
            ),
            (
                "raise RuntimeError('damaged')",
                "RuntimeError: damaged",
                "pip install --force-reinstall --no-deps tensorrt==10.3.0",
            ),
        ],
        ids=["SIGILL", "library of CUDA", "anything else"],
    )
    def test_one_that_does_not_is_an_error_that_says_how_to_mend_it(
        self, victim: Victim, code: str, found: str, fix: str
    ) -> None:
        victim.install(code)
        with pytest.raises(EnvironmentConfigurationError) as caught:
            ensure_importable(LIBRARY, path=victim.path)
        assert str(caught.value) == (
            "tensorrt 10.3.0 is installed and cannot be used here.\n"
            f"needs a build of tensorrt that this machine can import; found: {found}\n"
            f"{fix}"
        )

    def test_one_that_is_not_installed_is_left_to_the_import(self) -> None:
        ensure_importable(LIBRARY, path=[])
        ensure_importable(Library("numpy", "numpy", ("numpy",)))
        assert files() == []

    def test_one_that_is_imported_costs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "tensorrt", sys)
        monkeypatch.setattr(probe_verdicts, "installed_libraries", pytest.fail)
        ensure_importable(LIBRARY)

    def test_where_no_child_can_be_started_nobody_is_stopped(
        self, victim: Victim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        victim.install("os.abort()")
        monkeypatch.setattr(sys, "executable", "")
        ensure_importable(LIBRARY, path=victim.path)
        assert (victim.imports, files()) == (0, [])

    def test_threads_that_ask_at_once_share_one_child(self, victim: Victim) -> None:
        victim.install("import time; time.sleep(0.5)")
        threads = [
            threading.Thread(target=ensure_importable, args=(LIBRARY,), kwargs={"path": victim.path}) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert victim.imports == 1
