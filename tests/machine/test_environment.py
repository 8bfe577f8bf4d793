"""The facts of a machine as one value: put together from files and child processes, kept, and fingerprinted."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from inference_models import config
from inference_models.backends import probe_environment
from inference_models.entities import BackendType
from inference_models.errors import InvalidEnvVariable
from inference_models.machine import verdicts as probe_verdicts
from inference_models.machine.environment import Environment, Gpu
from inference_models.machine.libraries import find_library
from inference_models.machine.probe import Place, providers_in_wheel
from machines import LIBRARIES, install, put, read_place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="machines are laid out as Linux does")
L4 = Gpu(name="NVIDIA L4", compute_capability=Version("8.9"), memory=24 << 30)
SERVER = Environment(
    system="linux x86_64",
    python="3.11",
    os_version="ubuntu-22.04",
    cpu_flags=frozenset({"avx2", "fma"}),
    cpus=8,
    memory=64 << 30,
    gpus=(L4,),
    driver_version=Version("550.54.15"),
    cuda_version=Version("12.4"),
    cudnn_version=Version("9.1.0"),
    tensorrt_version=Version("10.3.0"),
    installed={"onnxruntime": Version("1.23.0"), "torch": Version("2.5.1")},
    builds={"onnxruntime": "onnxruntime-gpu 1.23.0", "torch": "torch 2.5.1+cu124"},
    execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    runtimes={BackendType.ONNX: Version("1.23.0"), BackendType.TRT: None},
)


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JETSON_MODULE", "L4T_VERSION", "RUNNING_ON_JETSON", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    probe_verdicts.forget()
    probe_environment.cache_clear()


def machine(root: Path) -> Path:
    put(root, "etc/os-release", 'NAME="Ubuntu"\nVERSION_ID="22.04"\n')
    put(root, "proc/cpuinfo", "flags\t: fpu avx2 fma avx512_vnni\n")
    put(root, "proc/meminfo", "MemTotal: 16777216 kB\n")
    put(root, "proc/self/cgroup", "0::/\n")
    put(root, "sys/fs/cgroup/memory.max", "4294967296\n")
    put(root, "sys/fs/cgroup/cpu.max", "50000 100000\n")
    return root


class TestReading:
    def test_a_machine_without_anything(self, tmp_path: Path) -> None:
        found = read_place(Place(tmp_path, ()))
        assert (found.gpus, found.installed, found.broken, found.execution_providers) == ((), {}, {}, ())
        assert (found.cpu_flags, found.cpu_quota, found.memory_limit) == (frozenset(), None, None)
        assert found.python == f"{sys.version_info.major}.{sys.version_info.minor}"

    def test_a_container(self, tmp_path: Path) -> None:
        found = read_place(Place(machine(tmp_path), ()))
        assert found.os_version == "ubuntu-22.04"
        assert found.cpu_flags == {"avx2", "fma", "avx512_vnni"}
        assert (found.cpus, found.cpu_quota) == (1, 0.5)
        assert (found.memory, found.memory_limit) == (4 << 30, 4 << 30)

    def test_a_jetson(self, tmp_path: Path) -> None:
        put(tmp_path, "proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
        put(tmp_path, "etc/nv_tegra_release", "# R36 (release), REVISION: 3.0, GCID: 1")
        put(tmp_path, "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0", "")
        found = read_place(Place(tmp_path, ()))
        assert (found.jetson, found.l4t_version) == ("nvidia-jetson-orin-nano", Version("36.3.0"))
        assert (found.driver_version, found.tensorrt_version) == (Version("36.3.0"), Version("10.3.0"))

    def test_libraries_are_versions_and_builds(self, tmp_path: Path) -> None:
        install(tmp_path, "torch", "2.5.1+cu124")
        install(tmp_path, "tensorrt-lean", "10.3.0")
        install(tmp_path, "coremltools", "8.0")
        found = read_place(Place(tmp_path, (str(tmp_path),)))
        assert found.installed == {"tensorrt_lean": Version("10.3.0"), "torch": Version("2.5.1")}
        assert found.builds["torch"] == "torch 2.5.1+cu124"
        assert found.tensorrt_version == Version("10.3.0")

    def test_a_library_that_ends_the_process_is_known_after_a_thorough_look(self, tmp_path: Path) -> None:
        install(tmp_path, "tensorrt", "10.3.0", tensorrt="import os; os.abort()")
        install(tmp_path, "tensorrt-lean", "10.3.0", tensorrt_lean="Runtime = 1")
        place = Place(tmp_path, (str(tmp_path),))
        assert read_place(place).broken == {}
        problems = {"tensorrt": "importing it ended the process by SIGABRT"}
        assert read_place(place, thorough=True).broken == problems
        assert read_place(place).broken == problems

    def test_a_device_nobody_can_ask_about_has_the_name_the_system_knows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "")
        put(tmp_path, "dev/nvidia0", "")
        assert read_place(Place(tmp_path, ())).gpus == (Gpu(name="unknown"),)
        put(tmp_path, "proc/driver/nvidia/gpus/0000:17:00.0/information", "Model: \t NVIDIA L4\n")
        assert read_place(Place(tmp_path, ())).gpus == (Gpu(name="NVIDIA L4"),)

    def test_nothing_is_said_of_cuda_where_no_device_can_use_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "")
        for name in ("nvidia-cuda-runtime", "nvidia-cudnn-cu12"):
            install(tmp_path, name, "13.0.1")
        place = Place(tmp_path, (str(tmp_path),))
        found = read_place(place)
        assert (found.cuda_version, found.cudnn_version) == (None, None)
        put(tmp_path, "dev/nvidia0", "")
        found = read_place(place)
        assert (found.cuda_version, found.cudnn_version) == (Version("13.0.1"), Version("13.0.1"))

    def test_a_device_without_a_driver_cannot_be_used(self, tmp_path: Path) -> None:
        if any(Path("/dev").glob("nvidia[0-9]*")):
            pytest.skip("this machine has a driver")
        put(tmp_path, "dev/nvidia0", "")
        found = read_place(Place(tmp_path, ()))
        assert found.gpus == ()
        assert found.broken == {"cuda": "DriverError: libcuda.so.1 of the NVIDIA driver cannot be loaded"}


class TestProviders:
    def site(self, folder: Path, code: str) -> Place:
        install(folder, "onnxruntime-gpu", "1.23.0", onnxruntime=code)
        for name in ("cuda", "tensorrt"):
            put(folder, f"onnxruntime/capi/libonnxruntime_providers_{name}.so", "")
        return Place(folder, (str(folder),))

    @pytest.fixture(autouse=True)
    def _not_imported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)

    def test_come_from_the_files_until_the_runtime_was_asked(self, tmp_path: Path) -> None:
        place = self.site(tmp_path, "def get_available_providers():\n    return ['CPUExecutionProvider']\n")
        guessed = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
        assert read_place(place).execution_providers == guessed
        assert read_place(place, thorough=True).execution_providers == ("CPUExecutionProvider",)
        assert read_place(place).execution_providers == ("CPUExecutionProvider",)

    def test_of_a_machine_with_a_device_are_asked_for_at_once(self, tmp_path: Path) -> None:
        put(tmp_path, "dev/nvidia0", "")
        place = self.site(tmp_path, "def get_available_providers():\n    return ['ROCMExecutionProvider']\n")
        assert read_place(place).execution_providers == ("ROCMExecutionProvider",)

    @pytest.mark.parametrize(
        ("name", "platform", "libraries", "expected"),
        [
            ("onnxruntime", "linux", ("shared",), ["CPU"]),
            ("onnxruntime-gpu", "linux", ("shared", "cuda", "tensorrt"), ["Tensorrt", "CUDA", "CPU"]),
            ("onnxruntime-openvino", "linux", ("openvino",), ["OpenVINO", "CPU"]),
            ("onnxruntime", "darwin", (), ["CoreML", "CPU"]),
            ("onnxruntime-directml", "linux", (), ["Dml", "CPU"]),
        ],
    )
    def test_are_those_of_the_files_in_the_wheel(
        self, tmp_path: Path, name: str, platform: str, libraries: tuple[str, ...], expected: list[str]
    ) -> None:
        install(tmp_path, name)
        for library in libraries:
            put(tmp_path, f"onnxruntime/capi/libonnxruntime_providers_{library}.so", "")
        distribution = find_library(LIBRARIES["onnxruntime"], [str(tmp_path)])
        assert providers_in_wheel(distribution, platform) == tuple(f"{kind}ExecutionProvider" for kind in expected)

    def test_the_runtime_that_is_here_agrees_with_its_files(self) -> None:
        runtime = pytest.importorskip("onnxruntime")
        stated = [name for name in runtime.get_available_providers() if name != "AzureExecutionProvider"]
        assert list(providers_in_wheel(find_library(LIBRARIES["onnxruntime"]))) == stated

    def test_of_a_broken_runtime_are_none(self, tmp_path: Path) -> None:
        assert read_place(self.site(tmp_path, "1 / 0"), thorough=True).execution_providers == ()


class TestProcess:
    def test_the_facts_are_found_out_once(self) -> None:
        assert probe_environment() is probe_environment()

    def test_what_was_looked_at_thoroughly_serves_everybody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "")  # nobody has to wait for children here
        thorough = probe_environment(thorough=True)
        assert probe_environment() is thorough

    def test_a_library_installed_meanwhile_is_seen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(tmp_path)
        assert "tensorrt" not in probe_environment().installed
        install(tmp_path, "tensorrt", "9.0")
        os.utime(tmp_path, ns=(1, 1))  # file systems with coarse clocks
        assert probe_environment().installed["tensorrt"] == Version("9.0")

    def test_a_variable_changed_meanwhile_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert probe_environment().jetson is None
        monkeypatch.setenv("JETSON_MODULE", "NVIDIA Jetson Nano")
        assert probe_environment().jetson == "nvidia-jetson-nano"
        monkeypatch.setenv("RUNNING_ON_JETSON", "perhaps")
        with pytest.raises(InvalidEnvVariable):
            probe_environment().l4t_version

    def test_a_usual_look_starts_no_process_and_writes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probe_verdicts, "ask_child", pytest.fail)
        probe_environment()
        assert not config.cache_directory().exists()


class TestFingerprint:
    @pytest.mark.parametrize(
        "change",
        [
            {"python": "3.12"},
            {"os_version": "ubuntu-24.04"},
            {"cpu_flags": frozenset({"avx2"})},
            {"cpus": 4},
            {"cpu_quota": 2.5},
            {"memory": 32 << 30},
            {"memory_limit": 8 << 30},
            {"gpus": ()},
            {"gpus": (L4, L4)},
            {"gpus": (replace(L4, memory=48 << 30),)},
            {"driver_version": Version("570.1")},
            {"cuda_version": Version("12.6")},
            {"cudnn_version": None},
            {"tensorrt_version": Version("10.4.0")},
            {"jetson": "nvidia-jetson-nano"},
            {"l4t_version": Version("36.3.0")},
            {"installed": {"onnxruntime": Version("1.23.0")}},
            {"builds": {**SERVER.builds, "torch": "torch 2.5.1+cpu"}},
            {"broken": {"torch": "RuntimeError"}},
            {"execution_providers": ("CPUExecutionProvider",)},
            {"runtimes": {}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_changes_with_every_fact(self, change: dict) -> None:
        assert replace(SERVER, **change).fingerprint() != SERVER.fingerprint()

    @pytest.mark.parametrize(
        "same",
        [
            {"memory": (64 << 30) - (1 << 20)},
            {"installed": dict(reversed(SERVER.installed.items()))},
            {"execution_providers": (*reversed(SERVER.execution_providers), "AzureExecutionProvider")},
            {"cpu_flags": frozenset(sorted(SERVER.cpu_flags, reverse=True))},
        ],
        ids=["memory of another kernel", "order of libraries", "order of providers", "order of flags"],
    )
    def test_stays_with_what_changes_nothing(self, same: dict) -> None:
        assert replace(SERVER, **same).fingerprint() == SERVER.fingerprint()

    def test_is_the_same_after_a_thorough_look(self) -> None:
        usual = probe_environment().fingerprint()
        probe_environment.cache_clear()
        thorough = probe_environment(thorough=True)
        assert thorough.broken == {}
        assert thorough.fingerprint() == usual

    def test_is_hexadecimal(self) -> None:
        assert len(bytes.fromhex(SERVER.fingerprint())) == 32


class TestWords:
    def test_every_fact_in_a_fixed_order(self) -> None:
        broken = replace(SERVER, broken={"torch": "x"}, cpu_quota=2.5, memory_limit=64 << 30)
        assert broken.facts() == [
            ("system", "linux x86_64, ubuntu-22.04"),
            ("python", "3.11"),
            ("cpu", "8 usable (the container grants 2.5); avx2 fma"),
            ("memory", "68.7 GB (the container's limit is 68.7 GB)"),
            ("gpu", "NVIDIA L4 (compute capability 8.9, 25.8 GB)"),
            ("nvidia", "driver 550.54.15, CUDA 12.4, cuDNN 9.1.0, TensorRT 10.3.0"),
            ("libraries", "onnxruntime-gpu 1.23.0, torch 2.5.1+cu124 (broken)"),
            ("execution providers", "CUDAExecutionProvider, CPUExecutionProvider"),
        ]

    def test_of_a_machine_nobody_knows(self) -> None:
        assert Environment(system="linux aarch64", python="3.12").facts() == [
            ("system", "linux aarch64"),
            ("python", "3.12"),
            ("cpu", "1 usable; flags unknown"),
            ("gpu", "no CUDA device"),
        ]

    def test_of_a_jetson(self) -> None:
        nano = Environment(
            system="linux aarch64", python="3.10", jetson="nvidia-jetson-nano", l4t_version=Version("36.3.0")
        )
        assert ("jetson", "nvidia-jetson-nano, L4T 36.3.0") in nano.facts()

    def test_in_one_line(self) -> None:
        assert SERVER.describe() == "linux x86_64, python 3.11, onnx runtime 1.23.0, a CUDA device"
