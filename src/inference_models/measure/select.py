"""Which admissible candidate is opened first, and with which settings."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from inference_models.errors import EnvironmentConfigurationError
from inference_models.fork import Lock
from inference_models.loading.remember import RememberedModels
from inference_models.machine.usage import OtherPrograms
from inference_models.measure.rounds import BUSY
from inference_models.measure.settings import LoadToMeasure, plans_to_measure
from inference_models.measure.store import MeasurementStore, covers, find_plan, subject_of
from inference_models.negotiate.case import Plan, Selection

if TYPE_CHECKING:
    from inference_models.entities import ModelMetadata
    from inference_models.loading.address import LoadRequest, Source
    from inference_models.negotiate.choose import Choice

_log = logging.getLogger("inference-models")


_LOOK_S = 0.3
"""For so long it is watched whether the machine is quiet."""
_ONE_AT_A_TIME = Lock()
"""Two measurements in one process would each measure the noise of the other."""


def select_plans(model: ModelMetadata, source: Source, choice: Choice, load: LoadRequest) -> Selection:
    """The admissible candidates, best first: what was measured to be fastest here, then the declared order.

    With `select="measured"` and nothing remembered, they are measured now, which takes up to a minute.
    """
    in_order = choice.declared_order
    if load.options.select == "order":
        return in_order
    memory = RememberedModels(load, choice.environment)
    fastest = remembered_plan(model, source, choice, load, memory)
    if load.options.select == "measured" and (fastest is None or _is_doubtful(model, source, load, memory)):
        with _ONE_AT_A_TIME:
            known = remembered_plan(model, source, choice, load, memory)
            if known is None or _is_doubtful(model, source, load, memory):
                known = _measured_plan(LoadToMeasure(model, source, choice, load, memory)) or known
            fastest = known
    if fastest is None:
        return in_order
    # Where its settings do not open any more, the candidate may still open without them.
    return Selection((fastest, *(plan for plan in in_order.plans if plan != fastest)), "measured")


def remembered_plan(
    model: ModelMetadata, source: Source, choice: Choice, load: LoadRequest, memory: RememberedModels
) -> Plan | None:
    """What an earlier measurement found fastest for the same request on this machine, if it can still be loaded.

    It holds only where all that fits now was looked at then. Only looks: nothing is measured, fetched or written. None
    with `select="order"`.
    """
    if load.options.select == "order":
        return None
    found = MeasurementStore().read(subject_of(model, source.name, load, memory))
    if found is None:
        return None
    if not covers(found.looked_at, memory.candidates_to_measure(source, choice)):
        _log.info("what was measured for %r is not used: there are packages it did not look at", model.model_id)
        return None
    return find_plan(plans_to_measure(choice, load, memory.environment), found.winner)


def _is_doubtful(model: ModelMetadata, source: Source, load: LoadRequest, memory: RememberedModels) -> bool:
    """Whether what is remembered was measured on a busy machine, which is quiet now."""
    found = MeasurementStore().read(subject_of(model, source.name, load, memory))
    if found is None or found.busy <= BUSY:
        return False
    others = OtherPrograms()
    time.sleep(_LOOK_S)
    return others.share() <= BUSY


def _measured_plan(asking: LoadToMeasure) -> Plan | None:
    """The fastest, measured now; None where there is no choice, or with a warning where it cannot be measured."""
    from inference_models.measure.progress import shown_progress  # noqa: PLC0415 - only needed to measure
    from inference_models.measure.tune import TuneOptions, tune  # noqa: PLC0415

    plans = plans_to_measure(asking.choice, asking.load, asking.memory.environment)
    if len(plans) == 1:
        return None
    try:
        with shown_progress() as progress:
            report = tune(asking, TuneOptions(progress=progress))
    except EnvironmentConfigurationError as exc:
        _log.warning("%r is loaded in the declared order; it cannot be measured: %s", asking.model.model_id, exc)
        return None
    for row in report.rows:
        _log.info("%s, %s: %s", row.candidate, row.setting, row.verdict)
    winner = report.winner
    if winner is None:
        _log.warning("%r is loaded in the declared order: nothing could be measured", asking.model.model_id)
        return None
    return next(plan for plan in plans if winner.is_of(plan))
