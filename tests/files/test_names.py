from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_models.errors import CorruptedModelPackageError, InvalidParameterError
from inference_models.files.names import check_handles, check_model_id, check_package_id, is_portable_handle, model_slug


@pytest.mark.parametrize("handle", ["weights.onnx", "a/b/c.bin", ".hidden", "A-1_2.x", "..a"])
def test_plain_relative_names_are_accepted(handle):
    check_handles([handle])


@pytest.mark.parametrize(
    "handle",
    [
        "",
        ".",
        "..",
        "a/../b",
        "/a",
        "a/",
        "a//b",
        "a\\b",
        "C:a",
        "é",
        "a b",
        "a.",
        "nul",
        "NUL.txt",
        "sub/com1.bin",
        "a\x00",
        "x" * 256,
        ".manifest.json",
        ".MANIFEST.json",
        "aux",
        "a\n",
    ],
)
def test_names_that_mean_something_else_somewhere_are_refused(handle):
    with pytest.raises(CorruptedModelPackageError) as caught:
        check_handles(["ok.txt", handle])
    assert str(caught.value) == (
        "the package lists a file name that is not safe.\n"
        "needs relative names of letters, digits, '.', '_' and '-', with forward slashes; "
        f"found: {handle!a}"
    )


@pytest.mark.parametrize("pair", [("a.txt", "A.TXT"), ("a", "a"), ("a", "a/b"), ("A/b", "a")])
def test_names_that_collide_on_some_file_system_are_refused(pair):
    with pytest.raises(CorruptedModelPackageError) as caught:
        check_handles(pair)
    assert str(caught.value).startswith("two files of the package would get the same name.\nneeds names that differ")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_an_accepted_name_stays_below_its_folder(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp()
    if is_portable_handle(name):
        assert (root / name).resolve().is_relative_to(root.resolve())
        assert (root / name).resolve() != root.resolve()


@pytest.mark.parametrize("package_id", ["", "a-b", "../x", "con", "x" * 256, "é"])
def test_package_ids_are_letters_and_digits(package_id):
    with pytest.raises(CorruptedModelPackageError) as caught:
        check_package_id(package_id)
    assert str(caught.value) == (
        "the package has an id that cannot be a folder name.\n"
        f"needs 1 to 255 letters and digits; found: {package_id[:80]!a}"
    )


@pytest.mark.parametrize("model_id", ["", " ", "a\nb", "a\0", "x" * 513, "\u202e"])
def test_model_ids_are_one_printable_line(model_id):
    with pytest.raises(InvalidParameterError) as caught:
        check_model_id(model_id)
    assert str(caught.value) == (
        f"the model id cannot be used.\nneeds 1 to 512 printable characters; found: {model_id[:80]!a}"
    )


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_slugs_are_portable_names_and_tell_models_apart(first, second):
    assert is_portable_handle(model_slug("p", first))
    assert (model_slug("p", first) == model_slug("p", second)) == (first == second)
    assert model_slug("p", first) != model_slug("q", first)


def test_a_slug_can_be_read():
    assert model_slug("wheel", "Acme/Boxes v2").startswith("acme-boxes-v2-")
