"""Record whole calls of transformers on tiny networks with random weights, as fixtures for tests/families.

    python tools/record_whole_calls.py tests/families/recorded/whole

Run it in an environment of its own with transformers, segmentation-models-pytorch and PyTorch; the fixtures are the
exported graph of each network and what the project's own processor, network and post-processing make of one picture.
Recorded on 2026-11-27 with transformers 5.24.0, segmentation-models-pytorch 0.6.0, torch 2.14.1.
Weights are multiples of 1/256, so that they are small when they are compressed. Detections `found` (n, 6): x1 y1 x2 y2
in pixels of the picture, score, class, above `CONFIDENCE`, best first; `map` (H, W) of class ids; `depth` (H, W).
"""

from __future__ import annotations

import gzip
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import segmentation_models_pytorch
import torch
import transformers
from PIL import Image

IMAGE, CONFIDENCE = (125, 200), 0.3


def picture() -> np.ndarray:
    """(H, W, 3) uint8, red first: soft blobs, as photographs have them."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8))
    return np.asarray(coarse.resize(IMAGE[::-1], Image.Resampling.BICUBIC))


def randomised(network: torch.nn.Module, spread: float = 0.3) -> torch.nn.Module:
    """`network` with weights so large that its answers do not hang on the last digit."""
    for name, value in network.state_dict().items():
        if not value.is_floating_point() or "running" in name:
            continue
        if value.ndim > 1:
            share = getattr(network, "share", 1.0)
            value.normal_(0, spread / share**0.5 / max(1, value[0].numel() ** 0.5 / 8))
            if share < 1:
                value.mul_(torch.rand_like(value) < share)
        value.copy_((value * 256).round() / 256)
    return network.eval()


class Named(torch.nn.Module):
    """A network as its export has it: pictures in, the outputs of these names out."""

    def __init__(self, network: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, pixel_values: torch.Tensor) -> Any:
        outputs = self.network(pixel_values)
        return tuple(getattr(outputs, name) for name in self.names) if self.names else outputs


def exported(network: torch.nn.Module, pixels: torch.Tensor, names: tuple[str, ...]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Named(network, names).eval(),
            (pixels,),
            file,
            input_names=["pixel_values"],
            output_names=list(names) or ["logits"],
            dynamo=False,
            opset_version=17,
        )
    return file.getvalue()


def detected(processor: Any, outputs: Any) -> dict[str, np.ndarray]:
    (found,) = processor.post_process_object_detection(
        outputs, threshold=CONFIDENCE, target_sizes=torch.tensor([IMAGE])
    )
    rows = torch.cat([found["boxes"], found["scores"][:, None], found["labels"][:, None]], 1).numpy()
    return {"found": rows[np.argsort(-rows[:, 4], kind="stable")].astype(np.float32)}


def mapped(processor: Any, outputs: Any) -> dict[str, np.ndarray]:
    (found,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[IMAGE])
    return {"map": found.numpy().astype(np.uint8)}


def measured(processor: Any, outputs: Any) -> dict[str, np.ndarray]:
    (found,) = processor.post_process_depth_estimation(outputs, target_sizes=[IMAGE])
    return {"depth": found["predicted_depth"].numpy().astype(np.float32)}


def rt_detr() -> Any:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], out_features=["stage2", "stage3", "stage4"]
    )
    config = transformers.RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[16, 24, 32],
        **_SMALL,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        decoder_in_channels=[32, 32, 32],
        encoder_hidden_dim=32,
        hidden_expansion=0.5,
    )
    processor = transformers.RTDetrImageProcessorPil(size={"height": 128, "width": 128})
    return transformers.RTDetrForObjectDetection(config), processor, ("logits", "pred_boxes"), detected


_SMALL: dict[str, Any] = {
    "d_model": 32,
    "num_queries": 20,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "encoder_attention_heads": 2,
    "num_labels": 3,
    "use_pretrained_backbone": False,
    "anchor_image_size": None,
}


def d_fine() -> Any:
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        hidden_sizes=[16, 24, 32, 32],
        stage_in_channels=[8, 16, 24, 32],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 24, 32, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[24, 32, 32],
        **_SMALL,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        decoder_in_channels=[32, 32, 32],
        encoder_hidden_dim=32,
        hidden_expansion=0.5,
        depth_mult=0.34,
    )
    processor = transformers.RTDetrImageProcessorPil(size={"height": 128, "width": 128})
    return transformers.DFineForObjectDetection(config), processor, ("logits", "pred_boxes"), detected


def detr() -> Any:
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    config = transformers.DetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        d_model=32,
        num_queries=20,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_labels=3,
        use_pretrained_backbone=False,
    )
    processor = transformers.DetrImageProcessorPil()
    return transformers.DetrForObjectDetection(config), processor, ("logits", "pred_boxes"), detected


def yolos() -> Any:
    config = transformers.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=[64, 96],
        num_detection_tokens=20,
        num_labels=3,
        use_mid_position_embeddings=False,
    )
    return (
        transformers.YolosForObjectDetection(config),
        transformers.YolosImageProcessorPil(),
        (
            "logits",
            "pred_boxes",
        ),
        detected,
    )


def segformer() -> Any:
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=32,
        num_attention_heads=[1, 1, 2, 2],
        num_labels=5,
    )
    processor = transformers.SegformerImageProcessorPil(size={"height": 128, "width": 128})
    return transformers.SegformerForSemanticSegmentation(config), processor, ("logits",), mapped


def dpt() -> Any:
    config = transformers.DPTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=128,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
    )
    processor = transformers.DPTImageProcessorPil(size={"height": 128, "width": 128}, keep_aspect_ratio=False)
    return transformers.DPTForDepthEstimation(config), processor, ("predicted_depth",), measured


def depth_anything_v2() -> Any:
    backbone = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=126,
        patch_size=14,
        mlp_ratio=2,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
        head_hidden_size=8,
        patch_size=14,
    )
    processor = transformers.DPTImageProcessorPil(
        size={"height": 126, "width": 126},
        keep_aspect_ratio=False,
        ensure_multiple_of=14,
        resample=3,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return transformers.DepthAnythingForDepthEstimation(config), processor, ("predicted_depth",), measured


class Stretched:
    """What its examples do beside the network: OpenCV's resize of whole grey levels, and the mean of its encoders."""

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def __call__(self, image: Image.Image, return_tensors: str) -> dict[str, torch.Tensor]:
        del return_tensors
        pixels = torch.from_numpy(cv2.resize(np.asarray(image), (128, 96))).permute(2, 0, 1)[None] / 255
        return {"pixel_values": (pixels - self.mean[:, None, None]) / self.std[:, None, None]}

    def post_process_semantic_segmentation(self, outputs: Any, target_sizes: Any) -> Any:
        return torch.nn.functional.interpolate(outputs, target_sizes[0], mode="bilinear").argmax(1)


def deep_lab_v3_plus() -> Any:
    """Of segmentation-models-pytorch 0.6.0; one weight in five is not zero, so that the file is small."""
    network = segmentation_models_pytorch.DeepLabV3Plus(
        "tu-mobilenetv3_small_050", encoder_weights=None, classes=5, decoder_channels=16, decoder_atrous_rates=(2, 4, 6)
    )
    network.share = 1 / 5
    return network, Stretched(), (), mapped


NETWORKS = (rt_detr, d_fine, detr, yolos, segformer, dpt, depth_anything_v2, deep_lab_v3_plus)


def stable(build: Any, pixels: torch.Tensor) -> tuple[Any, bytes]:
    """The outputs of a network that another runtime gives as well: of those before, queries changed places."""
    for seed in range(20):
        torch.manual_seed(seed)
        network, _, names, _ = build()
        network = randomised(network)
        graph = exported(network, pixels, names)
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        with torch.inference_mode():
            outputs = network(pixels)
        others = session.run(None, {"pixel_values": pixels.numpy()})
        own = [outputs[name] for name in names] if names else [outputs]
        if all(
            np.abs(one.numpy() - other).max() < 1e-4 * max(1.0, float(one.abs().max()))
            for one, other in zip(own, others, strict=True)
        ):
            return outputs, graph
    raise SystemExit(f"{build.__name__}: no seed gives an answer that another runtime gives")


def record(build: Any, folder: Path) -> None:
    _, processor, _, read = build()
    pixels = processor(Image.fromarray(picture()), return_tensors="pt")["pixel_values"]
    outputs, graph = stable(build, pixels)
    answer = read(processor, outputs)
    name = build.__name__.replace("_", "-")
    (folder / f"{name}.onnx.gz").write_bytes(gzip.compress(graph, mtime=0))
    np.savez_compressed(folder / f"{name}.npz", **answer)
    (value,) = answer.values()
    print(name, tuple(pixels.shape), len(graph), (folder / f"{name}.onnx.gz").stat().st_size, value.shape, flush=True)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for build in NETWORKS:
        if len(sys.argv) < 3 or build.__name__ in sys.argv[2:]:
            record(build, target)
