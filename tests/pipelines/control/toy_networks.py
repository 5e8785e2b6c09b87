"""Networks of preprocessors at toy size: transformers' own classes with weights drawn at random, saved as the Hub has them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BeitConfig,
    BeitForSemanticSegmentation,
    BeitImageProcessorPil,
    ConvNextConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DetrConfig,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTForSemanticSegmentation,
    DPTImageProcessorPil,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessorPil,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    MaskFormerImageProcessorPil,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
    SwinConfig,
    UperNetConfig,
    UperNetForSemanticSegmentation,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessorPil,
)

from pipelines.control.palette import ade20k

LABELS = {number: name for number, (name, _) in enumerate(ade20k())}
SQUARE = {"height": 64, "width": 64}
WIDTHS = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
}
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def depth_anything(folder: Path, seed: int = 0, **config: Any) -> Path:
    torch.manual_seed(seed)
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14, out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    sizes = {"reassemble_hidden_size": 16, "neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8, "head_hidden_size": 4}
    return _saved(
        folder,
        DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, **sizes | config)),
        DPTImageProcessorPil(size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14),
    )


def dpt(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    return _saved(folder, DPTForDepthEstimation(_dpt()), DPTImageProcessorPil(size=SQUARE))


def _dpt(**more: Any) -> DPTConfig:
    fused = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8, "is_hybrid": False}
    return DPTConfig(**TRANSFORMER, **fused, **more)


def glpn(folder: Path, seed: int = 0) -> Path:
    """It tells distances."""
    torch.manual_seed(seed)
    config = GLPNConfig(**WIDTHS, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16)
    return _saved(folder, GLPNForDepthEstimation(config), GLPNImageProcessorPil())


def segformer(folder: Path, labels: Sequence[str] = (), seed: int = 0) -> Path:
    """With ADE20K's classes unless other `labels` are given."""
    torch.manual_seed(seed)
    named = dict(enumerate(labels)) or LABELS
    config = SegformerConfig(**WIDTHS, num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, id2label=named)
    return _saved(folder, SegformerForSemanticSegmentation(config), SegformerImageProcessorPil(size=SQUARE))


def zoedepth(folder: Path) -> Path:
    backbone = BeitConfig(**TRANSFORMER, out_indices=[1, 2, 3, 4], reshape_hidden_states=False)
    bins = {"bottleneck_features": 8, "num_relative_features": 8, "num_attractors": [4, 2, 2, 1], "bin_embedding_dim": 8}
    sizes = {"backbone_hidden_size": 16, "neck_hidden_sizes": [4, 4, 8, 8], "fusion_hidden_size": 8}
    distances = [{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}]
    config = ZoeDepthConfig(backbone_config=backbone, bin_configurations=distances, **bins, **sizes)
    return _saved(folder, ZoeDepthForDepthEstimation(config), ZoeDepthImageProcessorPil(size=SQUARE, ensure_multiple_of=32))


def upernet(folder: Path) -> Path:
    backbone = ConvNextConfig(**WIDTHS, out_features=STAGES)
    config = UperNetConfig(backbone_config=backbone, hidden_size=16, auxiliary_in_channels=16, auxiliary_channels=8, id2label=LABELS)
    return _saved(folder, UperNetForSemanticSegmentation(config), SegformerImageProcessorPil(size=SQUARE))


def beit(folder: Path) -> Path:
    config = BeitConfig(**TRANSFORMER, out_indices=[1, 2, 3, 4], auxiliary_channels=8, id2label=LABELS)
    return _saved(folder, BeitForSemanticSegmentation(config), BeitImageProcessorPil(size=SQUARE))


def dpt_segmentation(folder: Path) -> Path:
    return _saved(folder, DPTForSemanticSegmentation(_dpt(id2label=LABELS)), DPTImageProcessorPil(size=SQUARE))


def _swin() -> SwinConfig:
    return SwinConfig(image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, out_features=STAGES)


def maskformer(folder: Path) -> Path:
    heads = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 5}
    decoder = DetrConfig(d_model=32, encoder_ffn_dim=16, decoder_ffn_dim=16, **heads)
    features = {"fpn_feature_size": 32, "mask_feature_size": 32}
    config = MaskFormerConfig(backbone_config=_swin(), decoder_config=decoder, id2label=LABELS, **features)
    return _saved(folder, MaskFormerForInstanceSegmentation(config), MaskFormerImageProcessorPil(size=SQUARE))


def mask2former(folder: Path) -> Path:
    features = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_feedforward_dim": 16, "dim_feedforward": 16}
    layers = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2, "num_queries": 5}
    config = Mask2FormerConfig(backbone_config=_swin(), id2label=LABELS, **features, **layers)
    return _saved(folder, Mask2FormerForUniversalSegmentation(config), Mask2FormerImageProcessorPil(size=SQUARE))


EVERY = (depth_anything, dpt, zoedepth, glpn, segformer, upernet, beit, dpt_segmentation, maskformer, mask2former)


def changed(file: Path, changes: Mapping[str, Any]) -> None:
    """A JSON file with other values; None removes one."""
    told = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))


def _saved(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
