"""What the doctor says, word for word, of machines that lack something."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from rich.console import Console

from inference_models import config
from inference_models.doctor.cache import examine_cache, examine_clock, file_system
from inference_models.doctor.devices import examine_builds, examine_cuda_libraries, examine_driver, needed_libraries
from inference_models.doctor.examine import examine, examine_limits, render
from inference_models.doctor.findings import BAD, GOOD, NOTE, Finding
from inference_models.doctor.software import examine_broken, examine_libraries, examine_variables
from inference_models.machine.environment import Environment, Gpu
from inference_models.machine.libraries import installed_distributions
from machines import install, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inference_models.machine.libraries import Distribution

MACHINE = Environment(system="linux x86_64", python="3.11", cpus=2)
SERVER = replace(
    MACHINE,
    gpus=(Gpu(name="NVIDIA L4", compute_capability=Version("8.9")),),
    installed={"onnxruntime": Version("1.23.0"), "torch": Version("2.5.1")},
    builds={"onnxruntime": "onnxruntime 1.23.0", "torch": "torch 2.5.1+cpu"},
    execution_providers=("CPUExecutionProvider",),
)
OTHER_FOLDER = "export INFERENCE_HOME=/a/disk/inference-models"


def shown(findings: Iterable[Finding]) -> list[str]:
    """`level: what -> fix`."""
    return [f"{item.level}: {item.what}" + (f" -> {item.fix}" if item.fix else "") for item in findings]


def installed(folder: Path, *names: str) -> Mapping[str, Distribution]:
    folder.mkdir(exist_ok=True)
    for name in names:
        install(folder, name)
    return installed_distributions([str(folder)])


class TestLimits:
    def test_none(self) -> None:
        assert shown(examine_limits(MACHINE, 2)) == [
            "ok: 2 threads per model (this machine shows 2 CPUs)",
        ]

    def test_of_a_container(self) -> None:
        container = replace(MACHINE, cpu_quota=1.5, memory_limit=2 << 30)
        assert shown(examine_limits(container, 8)) == [
            "ok: 2 threads per model (this machine shows 8 CPUs)",
            "note: the container grants 1.5 of the 8 CPUs this machine shows -> docker update --cpus 8 <container>",
            (
                "note: the container's memory limit is 2.1 GB: a process that needs more is ended"
                " -> docker update --memory 4g --memory-swap -1 <container>"
            ),
        ]

    def test_above_what_there_is_are_none(self) -> None:
        assert len(shown(examine_limits(replace(MACHINE, cpu_quota=16.0), 8))) == 1


class TestLibraries:
    def test_one_of_each(self, tmp_path: Path) -> None:
        found = installed(tmp_path, "onnxruntime-gpu", "opencv-python-headless", "onnxruntime-extensions")
        assert shown(examine_libraries(found)) == [
            "ok: one ONNX Runtime: onnxruntime-gpu",
            "ok: one OpenCV: opencv-python-headless",
            "ok: pip is there to fetch models that come as wheels",
        ]

    def test_none(self, tmp_path: Path) -> None:
        found = installed(tmp_path)
        assert shown(examine_libraries(found))[:2] == [
            'problem: no runtime is installed: no model can run -> pip install "onnxruntime>=1.19"',
            "ok: one OpenCV: installed outside of pip",
        ]

    def test_none_but_another_library_that_reads_onnx(self, tmp_path: Path) -> None:
        found, *_ = examine_libraries(installed(tmp_path, "openvino"))
        assert found.what == "ONNX Runtime is not installed, ONNX packages run with openvino"
        found, *_ = examine_libraries(installed(tmp_path / "other", "torch"))
        assert (found.level, found.what) == (NOTE, "ONNX Runtime is not installed, ONNX packages cannot run")

    def test_several(self, tmp_path: Path) -> None:
        names = "onnxruntime onnxruntime-gpu opencv-python opencv-python-headless"
        found = installed(tmp_path, *names.split())
        assert shown(examine_libraries(found))[:2] == [
            (
                "problem: onnxruntime and onnxruntime-gpu overwrite each other's files"
                " -> pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
            ),
            (
                "problem: opencv-python and opencv-python-headless overwrite each other's files"
                " -> pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python-headless"
            ),
        ]

    def test_broken(self) -> None:
        broken = replace(
            SERVER, broken={"torch": "importing it ended the process by SIGILL", "cuda": "not about a library"}
        )
        assert shown(examine_broken(broken)) == [
            (
                "problem: torch 2.5.1+cpu is installed and cannot be used: importing it ended the process by SIGILL"
                ' -> pip install "torch<2.5.1"'
            )
        ]

    def test_no_index_client(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        monkeypatch.setenv("PATH", "")
        what = "pip is missing, models that come as wheels cannot be fetched"
        assert shown(examine_libraries({}))[-1] == f"note: {what} -> {sys.executable} -m ensurepip"


class TestDevices:
    @pytest.mark.parametrize(
        ("problem", "fix"),
        [
            (
                "DriverError: libcuda.so.1 of the NVIDIA driver cannot be loaded",
                "docker run --gpus all <image>",
            ),
            ("DriverError: cuInit failed with error 803", "sudo reboot"),
            ("DriverError: cuInit failed with error 999", "sudo modprobe nvidia_uvm"),
            ("asking the driver did not end within 20 s", "nvidia-smi"),
        ],
    )
    def test_that_cannot_be_used(self, problem: str, fix: str) -> None:
        assert shown(examine_driver(replace(MACHINE, broken={"cuda": problem}))) == [
            f"problem: this machine shows an NVIDIA device that cannot be used: {problem} -> {fix}"
        ]
        assert shown(examine_driver(MACHINE)) == []

    def test_that_no_build_uses(self, tmp_path: Path) -> None:
        assert shown(examine_builds(SERVER, installed(tmp_path, "torch"))) == [
            (
                "note: onnxruntime 1.23.0 is a build without CUDA, ONNX packages leave NVIDIA L4 unused"
                ' -> pip uninstall -y onnxruntime && pip install "onnxruntime-gpu>=1.19"'
            ),
            (
                "note: torch 2.5.1+cpu is a build without CUDA, PyTorch packages leave NVIDIA L4 unused"
                " -> pip uninstall -y torch && pip install torch"
            ),
        ]

    def test_that_builds_use(self, tmp_path: Path) -> None:
        put(tmp_path, "torch/version.py", "cuda: Optional[str] = '12.4'\n")
        used = replace(SERVER, execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"))
        assert shown(examine_builds(used, installed(tmp_path, "torch"))) == []

    @pytest.mark.parametrize(
        "change", [{"gpus": ()}, {"jetson": "nvidia-jetson-nano"}], ids=["none", "with wheels of its own"]
    )
    def test_that_need_no_other_build(self, tmp_path: Path, change: dict) -> None:
        assert shown(examine_builds(replace(SERVER, **change), installed(tmp_path, "torch"))) == []


class TestCudaLibraries:
    """A provider compiled here that needs libraries with the names of NVIDIA's."""

    NEEDED = ("libcublas.so.12", "libcudnn.so.9", "libcurand.so.10", "libcuda.so.1", "libm.so.6")

    @pytest.fixture
    def site(self, tmp_path: Path) -> Path:
        stubs, capi = tmp_path / "stubs", tmp_path / "site/onnxruntime/capi"
        stubs.mkdir()
        capi.mkdir(parents=True)
        source = put(tmp_path, "empty.c", "int nothing(void) { return 0; }")
        try:
            for name in self.NEEDED:
                command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", stubs / name, source]
                subprocess.run(command, check=True)
            provider = capi / "libonnxruntime_providers_cuda.so"
            stubbed = [stubs / name for name in self.NEEDED]
            subprocess.run(
                ["cc", "-shared", "-fPIC", "-Wl,--no-as-needed", "-o", provider, source, *stubbed], check=True
            )
        except FileNotFoundError:
            pytest.skip("needs a C compiler")
        return tmp_path / "site"

    @pytest.mark.parametrize(("machine", "level"), [(SERVER, BAD), (MACHINE, NOTE)], ids=["a device", "no device"])
    def test_that_are_missing(self, site: Path, tmp_path: Path, machine: Environment, level: str) -> None:
        found = installed(site, "onnxruntime-gpu")
        put(site, "nvidia/cublas/lib/libcublas.so.12", "")
        install(site, "nvidia-cublas-cu12", "12.8")
        found = installed_distributions([str(site)])
        assert shown(examine_cuda_libraries(machine, found, tmp_path / "root")) == [
            (
                f"{level}: onnxruntime-gpu 1.0 needs libraries that are not here: libcudnn.so.9, libcurand.so.10"
                " -> pip install nvidia-cudnn-cu12 nvidia-curand-cu12"
            )
        ]

    def test_that_are_here(self, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(tmp_path, "root/usr/lib64/libcublas.so.12", "")
        put(tmp_path, "root/usr/local/cuda/lib64/libcurand.so.10", "")
        put(tmp_path, "mine/libcudnn.so.9", "")
        monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}/mine:")
        assert shown(examine_cuda_libraries(SERVER, installed(site, "onnxruntime-gpu"), tmp_path / "root")) == [
            "ok: onnxruntime-gpu 1.0 has the 3 libraries of CUDA it needs"
        ]

    def test_of_a_build_without_cuda(self, tmp_path: Path) -> None:
        assert shown(examine_cuda_libraries(SERVER, installed(tmp_path, "onnxruntime"))) == []
        assert shown(examine_cuda_libraries(SERVER, {})) == []


class TestNeededLibraries:
    """Compared with `readelf` of binutils on real libraries, and with files that are none."""

    LIBRARIES = sorted(Path(np.__file__).parent.rglob("*.so"))[:10]

    def test_are_those_the_binutils_name(self) -> None:
        if shutil.which("readelf") is None:
            pytest.skip("needs readelf")
        for path in self.LIBRARIES:
            text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
            assert list(needed_libraries(path)) == re.findall(r"\(NEEDED\).*\[(.+)\]", text)
        assert any(needed_libraries(path) for path in self.LIBRARIES)

    @pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x02\x01" + b"\xff" * 58])
    def test_of_other_files_are_none(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "file").write_bytes(data)
        assert needed_libraries(tmp_path / "file") == ()
        assert needed_libraries(tmp_path / "nowhere") == ()

    @pytest.mark.skipif(not LIBRARIES, reason="NumPy has no shared objects here")
    @settings(max_examples=60, deadline=None)
    @given(place=st.integers(0, 4095), value=st.integers(0, 255), length=st.integers(0, 1 << 16))
    def test_of_a_damaged_library_are_read_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, place: int, value: int, length: int
    ) -> None:
        data = bytearray(self.LIBRARIES[0].read_bytes()[: 4096 + length])
        data[place] = value
        path = tmp_path_factory.mktemp("elf") / "damaged.so"
        path.write_bytes(data)
        assert all(isinstance(name, str) for name in needed_libraries(path))


class TestCache:
    @pytest.fixture(autouse=True)
    def _places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("inference_models.doctor.cache._OTHER_PLACES", ("/a/disk",))

    def test_another_place_is_one_on_a_disk_of_this_machine_that_takes_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places = [str(tmp_path / name) for name in ("missing", "memory", "remote", "disk")]
        put(tmp_path, "root/proc/mounts", f"a / ext4\nb {places[1]} tmpfs\nc {places[2]} nfs4\n")
        for place in places[1:]:
            Path(place).mkdir()
        monkeypatch.setenv("INFERENCE_HOME", f"{places[2]}/cache")
        monkeypatch.setattr("inference_models.doctor.cache._OTHER_PLACES", places)
        first, *_ = examine_cache(tmp_path / "root")
        assert first.fix == f"export INFERENCE_HOME={tmp_path}/disk/inference-models"

    def mounted(self, tmp_path: Path, kind: str) -> Path:
        put(tmp_path, "root/proc/mounts", f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\nbad line\n")
        return tmp_path / "root"

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("tmpfs", "lies in memory (tmpfs) and is lost at a restart"),
            ("nfs4", "lies on a network file system (nfs4): every load reads over the network"),
            ("fuse.sshfs", "lies on a network file system (fuse.sshfs): every load reads over the network"),
        ],
    )
    def test_on_a_file_system_that_does_not_suit(self, tmp_path: Path, kind: str, words: str) -> None:
        folder = config.cache_directory()
        first, second = shown(examine_cache(self.mounted(tmp_path, kind)))
        assert first == f"note: the cache {folder} {words} -> {OTHER_FOLDER}"
        assert second.startswith(f"ok: cache {folder}, ")

    def test_on_a_disk(self, tmp_path: Path) -> None:
        assert [item.level for item in examine_cache(self.mounted(tmp_path, "ext4"))] == [GOOD]

    def test_that_takes_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        folder = config.cache_directory()
        folder.mkdir(parents=True)
        words = "is read-only: only models that are in it load"
        assert shown(examine_cache(tmp_path)) == [f"note: the cache {folder} {words} -> {OTHER_FOLDER}"]
        home = tmp_path / "home"
        monkeypatch.setenv("INFERENCE_HOME", str(home))
        words = f"cannot be written: {tmp_path} takes no files"
        assert shown(examine_cache(tmp_path)) == [f"problem: the cache {home} {words} -> {OTHER_FOLDER}"]
        file = put(tmp_path, "file", "")
        monkeypatch.setenv("INFERENCE_HOME", str(file / "home"))
        words = f"cannot be used: {file} is a file"
        assert shown(examine_cache(tmp_path)) == [f"problem: the cache {file / 'home'} {words} -> {OTHER_FOLDER}"]

    @pytest.mark.skipif(sys.platform != "linux", reason="looks at a file system of Linux")
    def test_on_a_file_system_that_keeps_no_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("INFERENCE_HOME", "/proc/nope")
        words = "cannot be written: /proc takes no files"
        assert shown(examine_cache()) == [f"problem: the cache /proc/nope {words} -> {OTHER_FOLDER}"]

    def test_on_a_file_system_that_does_not_say_how_large_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 0))
        (found,) = shown(examine_cache(self.mounted(tmp_path, "ext4")))
        folder = config.cache_directory()
        assert found == f"ok: cache {folder}, its file system does not say how much is free"
        assert not folder.exists()

    def test_that_is_nearly_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("inference_models.doctor.cache.LOW_SPACE", 1 << 60)
        (found,) = examine_cache(tmp_path)
        assert found.level == BAD
        assert found.what.endswith(" GB left: large models do not fit")
        assert found.fix == "inference-models cache gc"

    def test_the_last_and_deepest_file_system_holds_a_path(self, tmp_path: Path) -> None:
        text = "a / ext4 rw 0 0\nb /data nfs rw 0 0\nc /data xfs rw 0 0\nd /data/my\\040models tmpfs rw 0 0\n"
        put(tmp_path, "proc/mounts", text)
        assert [file_system(Path(path), tmp_path) for path in ("/data/x", "/data/my models/x", "/datax")] == [
            *("xfs", "tmpfs", "ext4"),
        ]
        assert file_system(Path("/x"), tmp_path / "nowhere") == ""


class TestClock:
    def test_that_is_right(self) -> None:
        assert shown(examine_clock()) == []
        assert shown(examine_clock(time.time() + 1e9)) == []

    def test_that_is_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "linux")
        file = put(tmp_path, "version.py", "")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert shown(examine_clock(1_699_999_800.0, file)) == []
        assert shown(examine_clock(0.0, file)) == [
            (
                "problem: the clock says 1970-01-01 00:00 UTC, which is before this library was installed "
                "(2023-11-14 22:13 UTC): certificates of servers do not count yet, "
                "and nothing that is remembered grows old -> sudo timedatectl set-ntp true"
            )
        ]


class TestVariables:
    def said(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, *providers: str) -> list[str]:
        monkeypatch.setenv(name, value)
        return shown(examine_variables(providers))

    def test_that_are_not_set(self) -> None:
        assert shown(examine_variables(())) == []

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("OFFLINE_MODE", "only models in the cache or in folders load"),
            ("HF_HUB_OFFLINE", "only models of the hub that are in the cache load"),
        ],
    )
    def test_that_switch_the_network_off(self, monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
        assert self.said(monkeypatch, name, "1") == [f"note: {name} is on: {words} -> unset {name}"]
        assert self.said(monkeypatch, name, "0") == []

    def test_that_are_no_switch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.said(monkeypatch, "OFFLINE_MODE", "maybe") == [
            (
                "problem: environment variable OFFLINE_MODE cannot be read as a switch; "
                "needs true or false (also 1/0, yes/no, on/off); found: 'maybe'"
                " -> unset OFFLINE_MODE, or set it to true or false"
            )
        ]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("API_CALLS_TIMEOUT", "soon"),
            ("API_CALLS_MAX_TRIES", "0"),
            ("AUTO_LOADER_CACHE_EXPIRATION_MINUTES", "-1"),
            ("IDEMPOTENT_API_REQUEST_CODES_TO_RETRY", "200"),
            ("JETSON_MODULE", "Toaster"),
            ("RUNNING_ON_JETSON", "maybe"),
            ("DEFAULT_DEVICE", "quantum"),
        ],
    )
    def test_that_nobody_can_read(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        (found,) = self.said(monkeypatch, name, value)
        assert re.fullmatch(r"problem: [^\n]+ -> [^\n]+", found)

    def test_that_name_no_provider_that_is_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        name, cpu, cuda = "ONNXRUNTIME_EXECUTION_PROVIDERS", "CPUExecutionProvider", "CUDAExecutionProvider"
        assert self.said(monkeypatch, name, cuda, cpu) == [
            f"problem: {name} names nothing that is here: {cuda} -> unset {name}"
        ]
        assert self.said(monkeypatch, name, f"{cuda},{cpu}", cpu) == [
            f"note: {name} also names what is not here: {cuda} -> export {name}={cpu}"
        ]
        assert self.said(monkeypatch, name, cpu, cpu) == []


class TestWhole:
    def test_the_facts_come_first(self) -> None:
        found = shown(examine(SERVER))
        facts = [f"ok: {label}: {text}" for label, text in SERVER.facts()]
        assert found[: len(facts)] == facts
        assert any(
            line.endswith('-> pip uninstall -y onnxruntime && pip install "onnxruntime-gpu>=1.19"') for line in found
        )

    def test_every_problem_has_a_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_CALLS_TIMEOUT", "soon")
        broken = replace(SERVER, broken={"torch": "RuntimeError", "cuda": "DriverError"}, cpu_quota=0.5, memory_limit=1)
        problems = [finding for finding in examine(broken) if finding.level != GOOD]
        assert len(problems) > 5
        assert all(finding.fix for finding in problems)

    def test_a_variable_that_hides_the_machine_is_a_finding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JETSON_MODULE", "Toaster")
        found = examine()
        assert (found[0].level, found[0].fix) == (BAD, "unset JETSON_MODULE")
        assert found[0].what.startswith("JETSON_MODULE='Toaster' names no Jetson")
        assert any("ONNX Runtime" in finding.what for finding in found)

    def test_it_writes_nothing(self) -> None:
        examine(SERVER)
        assert not config.cache_directory().exists()

    def test_a_fix_stands_under_its_finding_and_is_not_read_as_markup(self) -> None:
        stream = io.StringIO()
        findings = [Finding(GOOD, "cpu: [bold]x[/]"), Finding(BAD, "no", 'pip install "x[y]"')]
        render(findings, Console(file=stream, width=40))
        assert stream.getvalue().splitlines() == [
            "ok      cpu: [bold]x[/]",
            "problem no",
            '         pip install "x[y]"',
        ]
