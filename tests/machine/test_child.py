"""Child processes that import libraries made to die, to hang, to print and to look around."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from inference_models.machine.child import Child, ChildFailedError, child_environment
from inference_models.machine.verdicts import ask_child
from machines import put

pytestmark = pytest.mark.skipif(os.name == "nt", reason="ends processes by signals")
CANARY = "rf_a8d1c-canary"
SLOW_START_S = 30.0


def ask(folder: Path, code: str, deadline: float = SLOW_START_S) -> Any:
    put(folder, "victim/__init__.py", code)
    return ask_child("victim", [str(folder), *sys.path], deadline)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os; os.abort()", "importing it ended the process by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "importing it ended the process by SIGILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "importing it ended the process by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "importing it ended the process by SIGSEGV"),
        ("import os; os._exit(3)", "importing it ended the process with status 3"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        (
            "raise ImportError('libfoo.so.1: cannot open shared object file\\nsecond line')",
            "ImportError: libfoo.so.1: cannot open shared object file",
        ),
        ("raise ValueError()", "ValueError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f(: pass", "SyntaxError: invalid syntax (__init__.py, line 1)"),
    ],
    ids=["abort", "SIGILL", "SIGKILL", "SIGSEGV", "exit code", "SystemExit", "library", "no text", "module", "syntax"],
)
def test_what_happens_in_the_child_is_a_fact_here(tmp_path: Path, code: str, problem: str) -> None:
    answer = ask(tmp_path, code)
    assert (answer.problem, answer.facts) == (problem, {})


def test_a_library_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, time, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    answer = ask(tmp_path, code, 3.0)
    assert answer.problem == "importing it did not end within 3 s"
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid.read_text()], capture_output=True, text=True, check=False)
    assert state.stdout.strip() in {"", "Z", "ZN"}  # gone, or only its entry is left


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_daemon_that_it_leaves_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    """A process in a session of its own holds the pipe of the child that crashed."""
    pytest.importorskip("psutil")
    pid = tmp_path / "pid"
    code = (
        "import os, subprocess\n"
        "daemon = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(pid)!r}, 'w').write(str(daemon.pid))\n"
        "os.abort()\n"
    )
    assert ask(tmp_path, code).problem == "importing it ended the process by SIGABRT"
    with suppress(OSError):
        state = (Path("/proc") / pid.read_text() / "stat").read_text().rpartition(")")[2].split()[0]
        assert state in "ZX"


def test_a_child_keeps_its_state_survives_errors_and_holds_no_more_than_it_may(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    until = time.monotonic() + 60
    with Child("child_functions:Counter", life=120, memory=400 << 20) as child:
        assert child.ask("asked", {"add": 2}, deadline=until) == {"total": 2}
        with pytest.raises(ChildFailedError) as caught:
            child.ask("asked", {"add": "x"}, deadline=until)
        assert (caught.value.status, caught.value.words[:30]) == ("failed", "TypeError while it was asked: ")
        assert child.ask("asked", {"add": 3}, deadline=until) == {"total": 5}
        with pytest.raises(ChildFailedError) as caught:
            child.ask("filled", {"add": 1, "megabytes": 600}, deadline=until)
        assert caught.value.status == "too much memory"
        assert caught.value.words.endswith(" of 419 MB while it was filled")
        assert child.peak_memory > 400 << 20
    child.close()


def test_what_works_says_what_only_it_can_say(tmp_path: Path) -> None:
    answer = ask(tmp_path, "print('noise')\ndef get_available_providers():\n    return ['A', 'B']\n")
    assert (answer.problem, answer.facts) == (None, {"providers": ["A", "B"]})


def test_what_lacks_the_attribute_it_is_used_for_is_a_shell(tmp_path: Path) -> None:
    put(tmp_path, "victim/__init__.py", "Core = None\n")
    path = [str(tmp_path), *sys.path]
    assert ask_child("victim", path, SLOW_START_S, attribute="Core").problem is None
    answer = ask_child("victim", path, SLOW_START_S, attribute="Runtime")
    assert answer.problem == "it has no 'Runtime': files of it are missing"


def test_the_child_gets_what_tunes_the_loader_and_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    tunables = {
        "GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=4096",
        "KMP_DUPLICATE_LIB_OK": "TRUE",
        "LD_BIND_NOW": "1",
        "MKL_THREADING_LAYER": "GNU",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_CORETYPE": "HASWELL",
    }
    for name, value in tunables.items():
        monkeypatch.setenv(name, value)
    assert tunables.items() <= child_environment().items()


def test_what_crashes_when_the_process_ends_works(tmp_path: Path) -> None:
    assert ask(tmp_path, "import atexit, os; atexit.register(os.abort)").problem is None


def test_the_child_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROBOFLOW_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "SECRET", "HTTPS_PROXY"):
        monkeypatch.setenv(name, CANARY)
    seen = tmp_path / "seen"
    code = f"import os, sys; open({str(seen)!r}, 'w').write(repr((dict(os.environ), sys.argv)))"
    assert ask(tmp_path, code).problem is None
    assert CANARY not in seen.read_text()
    assert "ORT_DISABLE_TELEMETRY" in seen.read_text()
    assert CANARY not in repr(child_environment())


def test_the_child_writes_nothing_beside_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    site = tmp_path / "site"
    assert "SIGABRT" in ask(site, "import os; os.abort()").problem
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in site.rglob("*")) == ["__init__.py", "victim"]


class TestWhereNoChildCanBeStarted:
    @pytest.mark.parametrize("executable", ["", "/nowhere/python"])
    def test_nothing_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
        monkeypatch.setattr(sys, "executable", executable)
        assert ask(tmp_path, "import os; os.abort()") is None

    @pytest.mark.parametrize("program", ["true", "cat"])
    def test_nothing_is_said_by_another_program(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        monkeypatch.setattr(sys, "executable", shutil.which(program))
        assert ask(tmp_path, "import os; os.abort()") is None

    def test_nothing_is_said_in_a_frozen_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        assert ask(tmp_path, "import os; os.abort()") is None


DRIVER = """
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { return INIT; }
int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = 40 + i; return 0; }
int cuDeviceGetName(char *name, int size, int d) { strncpy(name, d == 40 ? "NVIDIA L4" : "Tesla T4", size); return 0; }
int cuDeviceTotalMem_v2(size_t *m, int d) { *m = (size_t)24 << 30; return 0; }
int cuDeviceGetAttribute(int *v, int kind, int d) { *v = kind == 75 ? (d == 40 ? 8 : 7) : (d == 40 ? 9 : 5); return 0; }
"""
RUNTIME = "int cudaRuntimeGetVersion(int *v) { *v = 12080; return 0; }"
MANAGEMENT = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "550.54.15", size); return 0; }
"""


class TestDriver:
    """A driver of a few lines of C that answers as CUDA's documentation says; no device is needed."""

    def ask(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **libraries: str) -> Any:
        for name, code in libraries.items():
            source = put(folder, f"{name}.c", code)
            version = {"libcudart": "so"}.get(name, "so.1")
            target = folder / f"{name.replace('_', '-')}.{version}"
            subprocess.run(["cc", "-shared", "-fPIC", "-o", target, source], check=True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
        return ask_child("cuda", (), SLOW_START_S)

    @pytest.fixture(autouse=True)
    def _compiler(self) -> None:
        if shutil.which("cc") is None or sys.platform != "linux":
            pytest.skip("needs a C compiler")

    def test_says_which_devices_there_are(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        code = {"libcuda": DRIVER.replace("INIT", "0"), "libcudart": RUNTIME, "libnvidia_ml": MANAGEMENT}
        answer = self.ask(tmp_path, monkeypatch, **code)
        assert answer.problem is None
        assert answer.facts == {
            "devices": [
                {"name": "NVIDIA L4", "capability": "8.9", "memory": 24 << 30},
                {"name": "Tesla T4", "capability": "7.5", "memory": 24 << 30},
            ],
            "driver_cuda": 12040,
            "runtime_cuda": 12080,
            "driver": "550.54.15",
        }

    def test_that_sees_no_device_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = self.ask(tmp_path, monkeypatch, libcuda=DRIVER.replace("INIT", "100"))
        assert (answer.problem, answer.facts["devices"]) == (None, [])

    @pytest.mark.parametrize(
        ("code", "problem"),
        [
            (DRIVER.replace("INIT", "999"), "DriverError: cuInit failed with error 999"),
            (
                DRIVER.replace("return INIT", "__builtin_trap(); return 0"),
                "asking the driver ended the process by SIGILL",
            ),
        ],
        ids=["error", "crash"],
    )
    def test_that_fails_is_a_fact(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, problem: str
    ) -> None:
        assert self.ask(tmp_path, monkeypatch, libcuda=code).problem == problem
