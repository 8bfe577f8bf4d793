"""What holds for every model, machine and wish, however odd."""

from __future__ import annotations

import ast
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_models.backends import known_runtimes
from inference_models.entities import BackendType, InlineFileSpecs, Quantization
from inference_models.errors import ModelPackageNegotiationError
from inference_models.negotiate.case import Case, candidates_of
from inference_models.negotiate.checks import CHECKS, examine
from inference_models.negotiate.choose import RANKING, rank, ranked
from inference_models.negotiate.explain import choose_packages
from inference_models.negotiate.nms_fusion import parse_nms_fusion
from inference_models.negotiate.request import ARGUMENTS, PackageRequest
from negotiate.packages import (
    ENVIRONMENTS,
    JETSONS,
    MACHINE,
    PACKAGES,
    REQUESTS,
    SERVER,
    SERVERS,
    engine,
    model,
    package,
)

ALIKE = st.builds(
    package,
    st.sampled_from("abcdefgh"),
    dynamic_batch_size_supported=st.booleans(),
    static_batch_size=st.sampled_from([1, 4]),
    trusted_source=st.sampled_from([True, True, True, False]),
)
"""Packages of which many run and some differ by nothing but the id, so that the order of those that run is at stake."""
ARCHITECTURES = st.sampled_from(["yolov8", "yolox", "resnet", "yolov13", ""])
SEVERAL = st.one_of(
    st.lists(kind, min_size=1, max_size=5, unique_by=lambda item: item.package_id) for kind in (PACKAGES | ALIKE, ALIKE)
)
MACHINES = ENVIRONMENTS | st.just(MACHINE) | st.just(SERVER)
WISHES = REQUESTS | st.just(PackageRequest())
SETTLED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PARSED = {
    "quantizations": lambda value: frozenset({Quantization(value)}),
    "backends": lambda value: frozenset({BackendType(value)}),
    "batch_size": lambda value: value if isinstance(value, tuple) else (value, value),
    "nms_fusion": parse_nms_fusion,
    "execution_providers": tuple,
}


def winner(packages, request, machine):
    """Package and runtime that would be opened first, or the kind of refusal."""
    try:
        first = choose_packages(model(*packages), request, machine).admissible[0]
    except ModelPackageNegotiationError as exc:
        return type(exc)
    return first.package.package_id, first.runtime


@given(SEVERAL, ARCHITECTURES, REQUESTS, ENVIRONMENTS)
@SETTLED
def test_no_check_and_no_key_raises_and_every_reason_is_complete(packages, architecture, request_, machine) -> None:
    described = model(*packages, architecture=architecture)
    for candidate in candidates_of(described):
        case = Case(described, candidate, request_, machine)
        assert rank(case)
        for reason in examine(case):
            assert reason.package_id == candidate.package.package_id
            assert reason.check in {check.name for check in CHECKS}
            assert reason.needs
            assert reason.found
            assert reason.fix != ""
            assert reason.runtime is (None if candidate.is_native else candidate.runtime)


@given(SEVERAL, WISHES, MACHINES, st.randoms(use_true_random=False))
@SETTLED
def test_the_winner_does_not_depend_on_the_order_of_the_packages(packages, request_, machine, random) -> None:
    shuffled = random.sample(packages, len(packages))
    assert winner(shuffled, request_, machine) == winner(packages, request_, machine)


@given(SEVERAL, st.booleans(), WISHES, MACHINES, st.randoms(use_true_random=False))
@SETTLED
def test_the_ranking_is_one_order_even_of_packages_that_share_an_id(packages, share, request_, machine, random) -> None:
    if share:
        packages = [
            replace(item, package_id="same", package_artefacts=[InlineFileSpecs("names", str(index))])
            for index, item in enumerate(packages)
        ]
    described = model(*packages)
    cases = [Case(described, candidate, request_, machine) for candidate in candidates_of(described)]
    assert ranked(random.sample(cases, len(cases))) == ranked(cases)


@given(st.lists(st.builds(engine, environment_requirements=st.none() | SERVERS | JETSONS), min_size=2, max_size=6))
@SETTLED
def test_engines_that_state_versions_and_engines_that_do_not_have_an_order(engines) -> None:
    described = model(*(replace(item, package_id=str(index)) for index, item in enumerate(engines)))
    cases = [Case(described, candidate, PackageRequest(), SERVER) for candidate in candidates_of(described)]
    assert ranked(reversed(cases)) == ranked(cases)


@given(SEVERAL, PACKAGES | ALIKE, WISHES, MACHINES)
@SETTLED
def test_a_package_that_is_worse_or_refused_never_changes_the_winner(packages, other, request_, machine) -> None:
    others = [item for item in packages if item.package_id != other.package_id]
    if not others or request_.package_id == other.package_id:
        return
    with_it, without = winner([*others, other], request_, machine), winner(others, request_, machine)
    is_best = isinstance(with_it, tuple) and with_it[0] == other.package_id
    assert is_best or with_it == without


@given(PACKAGES | ALIKE, ARCHITECTURES, REQUESTS, MACHINES)
@SETTLED
def test_an_argument_that_is_offered_as_a_fix_ends_its_refusal(package, architecture, request_, machine) -> None:
    described = model(package, architecture=architecture)
    for candidate in candidates_of(described):
        for reason in examine(Case(described, candidate, request_, machine)):
            change = argument_of(reason.fix)
            if change is not None:
                changed = Case(described, candidate, replace(request_, **change), machine)
                assert reason.check not in {again.check for again in examine(changed)}


def argument_of(fix):
    """The fields of a request in a fix such as `device="cpu"`; None for commands, and for what describes the model."""
    if fix is None or fix.startswith(("pip ", "unset ", "write in ", "model_type=", "task_type=")):
        return None
    fields = {argument: name for name, argument in ARGUMENTS.items()}
    if fix.startswith("leave "):
        return {fields[fix.split()[1]]: None}
    keywords = ast.parse(f"f({fix})", mode="eval").body.keywords
    values = {fields[item.arg]: ast.literal_eval(item.value) for item in keywords}
    return {name: PARSED.get(name, lambda same: same)(value) for name, value in values.items()}


def test_every_runtime_has_a_place_and_every_line_of_the_tables_a_name_of_its_own() -> None:
    assert set(known_runtimes()) == set(BackendType)
    assert len({key.name for key in RANKING}) == len(RANKING)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.refuses for check in CHECKS)
