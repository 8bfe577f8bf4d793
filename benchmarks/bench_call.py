"""What a call costs over `session.run`: real weights, a 1920x1080 photograph, both in one run.

    python benchmarks/bench_call.py PHOTO

The photograph is resized to 1920x1080 first. Weights come from the open catalogue.
"""

from __future__ import annotations

import sys

import cv2
from timing import paired_ratio, table

from inference_models import AutoModel

MODELS = ("centerface", "picodet-layout-cdla", "pplcnet-page-orientation")


def main(photo: str) -> None:
    image = cv2.resize(cv2.imread(photo), (1920, 1080))
    rows = []
    for model_id in MODELS:
        model = AutoModel.from_pretrained(model_id)
        prepared = model.pre_process(image)
        inputs = prepared[0] if isinstance(prepared, tuple) else prepared
        session = model._runner.session
        feeds = {session.inputs[0].name: inputs}
        call, run, ratio = paired_ratio(lambda: model(image), lambda: session.run(feeds))  # noqa: B023
        size = "x".join(str(side) for side in inputs.shape[2:])
        rows.append((model_id, size, f"{run:.1f}", f"{call:.1f}", f"{ratio:.3f}"))
    print(table(rows, ("model", "network size", "`session.run` ms", "call ms", "ratio")))


if __name__ == "__main__":
    main(sys.argv[1])
