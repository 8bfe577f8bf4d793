from __future__ import annotations

import dataclasses
import pickle
import py_compile
import sys

import pytest

from inference_models.errors import CorruptedModelPackageError, ForbiddenLocalCodePackageAccessError
from inference_models.package.code import code_digest, load_model_class
from inference_models.package.model_config import parse_model_config

SOURCE = """
from __future__ import annotations
import dataclasses, pathlib
(pathlib.Path(__file__).parent.parent / "ran.txt").touch()

@dataclasses.dataclass
class Mine:
    value: int = 1
"""


def config(module="model.py", name="Mine"):
    return parse_model_config(f'{{"model_module": "{module}", "model_class": "{name}"}}')


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model.py").write_text(SOURCE)
    (folder / "model_config.json").write_text('{"model_module": "model.py", "model_class": "Mine"}')
    return folder


def ran(package):
    return (package.parent / "ran.txt").exists()


def test_with_the_right_consent_the_class_comes_back_and_can_be_used(package):
    loaded = load_model_class(package, config(), code_digest(package))
    assert ran(package)
    assert dataclasses.asdict(loaded()) == {"value": 1}
    assert pickle.loads(pickle.dumps(loaded(5))) == loaded(5)
    assert loaded.__module__ in sys.modules


@pytest.mark.parametrize(
    ("consent", "found"),
    [
        (None, "no consent"),
        (False, "no consent"),
        (True, "a consent to any code"),
        ("sha256:00", "consent to other code (sha256:00)"),
    ],
)
def test_any_other_consent_is_refused_and_nothing_runs(package, consent, found):
    with pytest.raises(ForbiddenLocalCodePackageAccessError) as caught:
        load_model_class(package, config(), consent)
    assert not ran(package)
    digest = code_digest(package)
    assert str(caught.value) == (
        f"package folder '{package}' brings Python code, which was not run.\n"
        f"needs consent to exactly this code, after you have read it; found: {found}\n"
        f'pass allow_local_code_packages="{digest}" (on the command line --allow-code {digest})'
    )


CHANGES = {
    "append": lambda package: (package / "model.py").write_text(SOURCE + " "),
    "new file": lambda package: (package / "x.pyd").touch(),
    "rename": lambda package: (package / "helper.py").rename(package / "other.py"),
    "text": lambda package: (package / "payload.txt").write_text("what model.py reads and runs"),
    "another class": lambda package: (package / "model_config.json").write_text('{"model_module": "helper.py"}'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_consent_ends_with_the_first_changed_byte(package, change):
    (package / "helper.py").write_text("a = 1\n")
    consent = code_digest(package)
    CHANGES[change](package)
    with pytest.raises(ForbiddenLocalCodePackageAccessError, match="consent to other code"):
        load_model_class(package, config(), consent)
    assert not ran(package)


def test_what_python_compiles_by_itself_does_not_end_a_consent(package):
    before = code_digest(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "helper.cpython-311.pyc").write_bytes(b"1")
    assert code_digest(package) == before


def test_a_compiled_file_beside_the_source_is_not_run_and_none_is_written(package):
    evil = package / "evil.py"
    evil.write_text("import pathlib\nraise SystemExit('compiled file was run')\n")
    compiled = package / "__pycache__" / f"model.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(evil), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    evil.unlink()
    load_model_class(package, config(), code_digest(package))
    assert ran(package)
    assert [path.name for path in package.rglob("*.pyc")] == [compiled.name]


@pytest.mark.parametrize(
    "module", ["../evil.py", "/tmp/evil.py", "sub/../../evil.py", "C:evil.py", "a\\\\b.py", "./model.py"]
)
def test_a_module_outside_the_package_is_refused(package, module):
    (package.parent / "evil.py").write_text("raise SystemExit")
    with pytest.raises(CorruptedModelPackageError) as caught:
        load_model_class(package, config(module), code_digest(package))
    assert str(caught.value) == (
        "model_config.json: model_module cannot be used.\n"
        f"needs a regular file inside the package; found: {module.replace(chr(92) * 2, chr(92))!a}"
    )


def test_a_module_that_is_a_link_or_not_there_is_refused(package):
    (package / "model.py").rename(package / "real.txt")
    with pytest.raises(CorruptedModelPackageError, match=r"'model\.py', which does not exist"):
        load_model_class(package, config(), True)
    (package / "model.py").symlink_to(package / "real.txt")
    with pytest.raises(CorruptedModelPackageError, match=r"'model\.py', which is a link"):
        load_model_class(package, config(), True)
    with pytest.raises(CorruptedModelPackageError) as caught:
        code_digest(package)
    assert str(caught.value) == (
        "'model.py' is a link, and the package brings code.\n"
        f"needs regular files; found: a link to '{package / 'real.txt'}'\n"
        "replace the link by a copy of what it points to"
    )


def test_code_that_fails_is_a_package_error_that_keeps_the_cause(package):
    (package / "model.py").write_text("1 / 0\n")
    with pytest.raises(CorruptedModelPackageError) as caught:
        load_model_class(package, config(), code_digest(package))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert str(caught.value) == (
        "model.py failed while it was imported.\n"
        "needs code that imports here; found: ZeroDivisionError: division by zero"
    )


def test_code_for_internals_that_are_not_here_is_refused_before_it_runs(package):
    (package / "model.py").write_text(f"{SOURCE}\nfrom inference_models.configuration import DEFAULT_DEVICE\n")
    with pytest.raises(CorruptedModelPackageError, match="the argument `device` of from_pretrained"):
        load_model_class(package, config(), code_digest(package))
    assert not ran(package)


@pytest.mark.parametrize(("name", "found"), [("Other", "no such name"), ("dataclasses", "a module of that name")])
def test_a_class_that_is_not_there_is_refused(package, name, found):
    with pytest.raises(CorruptedModelPackageError) as caught:
        load_model_class(package, config(name=name), code_digest(package))
    assert str(caught.value) == (
        f"model.py does not hold what model_config.json says.\nneeds a class '{name}'; found: {found}"
    )
