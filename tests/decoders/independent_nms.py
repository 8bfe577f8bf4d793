"""Slow, plain versions of what the decoders do, to hold them against."""

from __future__ import annotations

import numpy as np

from optional import torch


def overlaps(a, b, iou) -> bool:
    """Whether float32 boxes a and b overlap by strictly more than `iou`; every step rounds to float32."""
    zero = np.float32(0)
    with np.errstate(over="ignore", invalid="ignore"):
        width = max(zero, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(zero, min(a[3], b[3]) - max(a[1], b[1]))
        intersection = width * height
        area_a = max(zero, a[2] - a[0]) * max(zero, a[3] - a[1])
        area_b = max(zero, b[2] - b[0]) * max(zero, b[3] - b[1])
        return bool(intersection > (area_a + area_b - intersection) * np.float32(iou))


def greedy_loop(xyxy, scores, class_ids, iou, max_detections, class_agnostic=False) -> list[int]:
    """O(n^2): walk from the best score down, keep what no kept box suppresses."""
    usable = [i for i in range(len(scores)) if np.isfinite(xyxy[i]).all() and np.isfinite(scores[i])]
    kept: list[int] = []
    for i in sorted(usable, key=lambda row: (-scores[row], row)):
        rivals = [j for j in kept if class_agnostic or class_ids[j] == class_ids[i]]
        if len(kept) < max_detections and not any(overlaps(xyxy[j], xyxy[i], iou) for j in rivals):
            kept.append(i)
    return kept


def torch_decode(xyxy, class_scores, confidence, iou, max_detections):
    """Rows, classes and scores that survive: one loop over torch float32 tensors."""
    xyxy, class_scores = torch.as_tensor(xyxy).float(), torch.as_tensor(class_scores).float()
    score, class_id = class_scores.max(dim=1)
    threshold = torch.as_tensor(confidence, dtype=torch.float32).expand(class_scores.shape[1])
    rows = torch.nonzero(score > threshold[class_id]).flatten()
    rows = rows[torch.sort(score[rows], descending=True, stable=True).indices]
    kept = []
    while len(rows) and len(kept) < max_detections:
        best, rest = rows[0], rows[1:]
        kept.append(int(best))
        low = torch.maximum(xyxy[best, :2], xyxy[rest, :2])
        high = torch.minimum(xyxy[best, 2:], xyxy[rest, 2:])
        intersection = (high - low).clamp(min=0).prod(dim=1)
        area = (xyxy[rest, 2:] - xyxy[rest, :2]).prod(dim=1) + (xyxy[best, 2:] - xyxy[best, :2]).prod()
        gone = (class_id[rest] == class_id[best]) & (intersection / (area - intersection) > iou)
        rows = rest[~gone]
    kept = torch.tensor(kept, dtype=torch.int64)
    return xyxy[kept].numpy(), score[kept].numpy(), class_id[kept].numpy(), kept.numpy()


def centred_to_corners(box):
    """(n, 4) cx cy w h as x1 y1 x2 y2."""
    box = torch.as_tensor(box)
    return torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], dim=1)


def assert_same_boxes(found, expected) -> None:
    """NumPy results with the exact types of `Boxes`; 1e-4 pixels and 1e-6 score: float32 rounding of two formulas."""
    xyxy, score, class_id, anchor = expected
    assert (found.xyxy.dtype, found.confidence.dtype) == (np.float32, np.float32)
    assert (found.class_id.dtype, found.anchor.dtype) == (np.int32, np.int64)
    assert found.xyxy.shape == (len(anchor), 4)
    np.testing.assert_array_equal(found.anchor, anchor)
    np.testing.assert_array_equal(found.class_id, class_id)
    np.testing.assert_allclose(found.confidence, score, atol=1e-6)
    np.testing.assert_allclose(found.xyxy, xyxy, atol=1e-4, rtol=1e-6)


def assert_torch_agrees(decoder, outputs, frame, limits) -> None:
    """The same call on torch tensors gives torch tensors with the same numbers, within 1e-6 relative."""
    ours = decoder.decode(outputs, frame, limits)
    theirs = decoder.decode([torch.from_numpy(output) for output in outputs], frame, limits)
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        for name in ("xyxy", "confidence", "class_id", "anchor"):
            assert isinstance(getattr(b, name), torch.Tensor)
            np.testing.assert_allclose(getattr(b, name).numpy(), getattr(a, name), rtol=1e-6, atol=1e-4)
            assert getattr(b, name).numpy().dtype == getattr(a, name).dtype
