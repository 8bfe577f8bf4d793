"""Words for refusals. The facts come from elsewhere; here they are only laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference_models.entities import BackendType, ModelMetadata, ModelPackageMetadata
    from inference_models.resolve.environment import Environment
    from inference_models.resolve.rejection import Rejection
    from inference_models.resolve.request import PackageRequest


def explain_refusals(
    model: ModelMetadata, rejections: Sequence[Rejection], request: PackageRequest, environment: Environment
) -> str:
    """The text of a failed negotiation: machine, request, every reason, and the fewest steps that would help."""
    count = len(model.model_packages)
    plural = "package" if count == 1 else "packages"
    lines = [
        f"no package of {model.model_id!r} can run here ({count} {plural}, {count} rejected).",
        "",
        f"  this machine   {environment.describe()}",
        f"  you asked for  {request.describe()}",
        "",
    ]
    labels = {package.package_id: _label(package) for package in model.model_packages}
    width = max(len(label) for label in labels.values())
    for package_id, label in labels.items():
        reasons = [item for item in rejections if item.package_id == package_id and item.runtime is None]
        for index, reason in enumerate(reasons):
            lead = label if index == 0 else ""
            lines.append(f"  {lead:<{width}}  needs {reason.needs}; found: {reason.found}")
    steps = fewest_steps(rejections)
    if steps is not None:
        package_id, fixes = steps
        lines += ["", f"  fewest steps   {package_id}: " + "; then ".join(fixes)]
    return "\n".join(lines)


def fewest_steps(rejections: Sequence[Rejection]) -> tuple[str, list[str]] | None:
    """The package that the fewest fixes would make run, with them; None when nothing would help."""
    by_candidate: dict[tuple[str, BackendType | None], list[Rejection]] = {}
    for rejection in rejections:
        by_candidate.setdefault((rejection.package_id, rejection.runtime), []).append(rejection)
    mendable = {
        candidate: list(dict.fromkeys(item.fix for item in items if item.fix))
        for candidate, items in by_candidate.items()
        if all(item.fix for item in items)
    }
    if not mendable:
        return None
    best = min(mendable, key=lambda candidate: len(mendable[candidate]))
    return best[0], mendable[best]


def _label(package: ModelPackageMetadata) -> str:
    quantization = package.quantization.value if package.quantization else "unknown"
    return f"{package.package_id}  {package.backend.value} {quantization}"
