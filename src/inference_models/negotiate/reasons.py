"""Words for the refusals of one package: what all its runtimes lack is said once, what each lacks as an alternative."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from inference_models.negotiate.layout import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from inference_models.errors import Rejection
    from inference_models.negotiate.report import CandidateReport

    Item = TypeVar("Item")

NOT_WANTED = "backend"
"""The check that refuses a runtime because the caller does not want it: no alternative to tell about."""
NO_STEPS = "it takes another machine, another export of the model or another release of this library"
"""What is left where no command and no argument helps."""
MANY = 4
"""So many packages that say the same are told as one."""

_ARGUMENT = re.compile(r"[a-z_]+=")
_WHY = {
    "measured": "the fastest measured on this machine",
    "order": "the best in the declared order",
    "package id": "the package you named",
    "remembered": "the package that was loaded before",
    "unmeasured": "the best in the declared order; all that fit would be measured first",
}


def why_text(reason: str) -> str:
    """Why a plan was chosen, in words."""
    return _WHY.get(reason, reason)


def fix_text(fix: str) -> str:
    """A command as it is; an argument of a load with the word that says what to do with it."""
    return f"pass {one_line(fix)}" if _ARGUMENT.match(fix) else one_line(fix)


def refusal_lines(candidates: Sequence[CandidateReport]) -> list[str]:
    """Why a package that no runtime would run cannot run: `needs ...; found: ...`, alternatives as `or ...`."""
    shown = [candidate for candidate in candidates if not _is_unwanted(candidate)] or candidates[:1]
    facts = [_facts(candidate.rejections) for candidate in shown]
    shared = [fact for fact in facts[0] if all(fact in other for other in facts)]
    own = [[fact for fact in each if fact not in shared] for each in facts]
    lines = [f"needs {fact}" for fact in shared]
    if not all(own):
        # One of the runtimes lacks nothing else, so what the others lack besides is of no interest.
        return lines
    lines += [f"needs {fact}" for fact in own[0]]
    for candidate, each in zip(shown[1:], own[1:], strict=True):
        single = len(own[0]) == len(each) == 1
        lead = "or" if single else f"or with {candidate.backend.value} needs"
        lines += [f"{lead} {fact}" if index == 0 else f"and {fact}" for index, fact in enumerate(each)]
    return lines


def candidate_lines(candidates: Sequence[CandidateReport]) -> list[str]:
    """What each runtime makes of a package that at least one of them would run."""
    lines = []
    for candidate in candidates:
        facts = _facts(candidate.rejections)
        if candidate.admissible:
            lines.append(f"runs with {candidate.backend.value}, choice {candidate.rank}")
            lines += [f"although it needs {fact}" for fact in facts]
        elif not _is_unwanted(candidate):
            lines += [f"with {candidate.backend.value}: needs {fact}" for fact in facts]
    return lines


def package_lines(candidates: Sequence[CandidateReport]) -> list[str]:
    """What there is to say about the runtimes of a package."""
    if any(candidate.admissible for candidate in candidates):
        return candidate_lines(candidates)
    return refusal_lines(candidates)


def told_together(items: Iterable[Item], same: Callable[[Item], object]) -> list[list[Item]]:
    """`items` in groups: `MANY` or more for which `same` is the same are one group, at the place of the first."""
    listed = [(str(same(item)), item) for item in items]
    counts = Counter(key for key, _ in listed)
    groups: dict[object, list[Item]] = {}
    for index, (key, item) in enumerate(listed):
        groups.setdefault(key if counts[key] >= MANY else index, []).append(item)
    return list(groups.values())


def _is_unwanted(candidate: CandidateReport) -> bool:
    return any(item.check == NOT_WANTED for item in candidate.rejections)


def _facts(rejections: Iterable[Rejection]) -> list[str]:
    facts = (f"{one_line(item.needs)}; found: {one_line(item.found)}" for item in rejections)
    return list(dict.fromkeys(facts))
