"""Write the MONAI bundle of a trained and judged `lung_nodule_3d`.

python -m training.lung_nodule.bundle --trained TRAINED --out BUNDLE: configs and weights
python -m training.lung_nodule.bundle --figures FIGURES.json --out BUNDLE: model card and figures
"""

from __future__ import annotations

import argparse
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training import cards
from training.lung_nodule.patches import HU_RANGE, SIDE
from training.lung_nodule.scans import SPACING_MM

VERSION = "1.1.0"
CHANGES = {
    "1.0.0": "first release",
    VERSION: "trained to convergence: four rounds, chosen by the loss on the training people",
}
CLASSES = {"0": "no nodule", "1": "nodule"}
CARD = Path(__file__).with_name("model_card.md")
CURVE = Path(__file__).with_name("training_curve.csv")
LAYER = "class_layers.relu"
LICENCE = """Copyright The VoxCAM developers

Licensed under the Apache License, Version 2.0. The text is in LICENSE at the root of the VoxCAM repository
and at https://www.apache.org/licenses/LICENSE-2.0
"""


def write_bundle(trained: Path, out: Path) -> None:
    """Write configs, weights and licence; the bundle can be judged then."""
    for folder in ("configs", "models", "docs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    network = json.loads((trained / "network.json").read_text(encoding="utf-8"))
    _write_json(out / "configs" / "metadata.json", metadata())
    _write_json(out / "configs" / "inference.json", inference(network))
    shutil.copyfile(trained / "model.safetensors", out / "models" / "model.safetensors")
    (out / "LICENSE").write_text(LICENCE, encoding="utf-8")


def write_figures(figures: dict[str, Any], out: Path) -> None:
    """Write the judge's figures into the model card and the metadata; all else stays as it is."""
    kept = compact(figures)
    cards.write(out, card(kept), kept)


def inference(network: dict[str, Any]) -> dict[str, Any]:
    """Return `inference.json`: network, preprocessing, sliding window, softmax."""
    low, high = HU_RANGE
    scaled = {"a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": True}
    steps: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [SPACING_MM] * 3, "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", "keys": "image"} | scaled,
    ]
    return {
        "network_def": network,
        "preprocessing": {"_target_": "Compose", "transforms": steps},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [SIDE] * 3, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
    }


def metadata() -> dict[str, Any]:
    """Return `metadata.json` in MONAI's schema, before there are figures."""
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": [SIDE] * 3,
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": True,
        "channel_def": {"0": "image"},
    }
    pred = {"type": "probabilities", "format": "classes", "num_channels": 2, "spatial_shape": []}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20220324.json",
        "version": VERSION,
        "changelog": CHANGES,
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "name": "lung_nodule_3d",
        "task": "Tell chest CT patches with a lung nodule from those without",
        "description": "A small 3D DenseNet for 60 mm patches of a chest CT, trained on invented nodules, "
        "made to demonstrate class activation maps. Research use only, not for diagnosis.",
        "authors": "The VoxCAM developers",
        "copyright": "Copyright The VoxCAM developers",
        "data_source": "totalsegmentator 2.18.0 (Apache-2.0): one chest CT angiogram; "
        "pyradiomics 3.0.1 (BSD-3-Clause): chest CT lung1. lung2 is held out.",
        "data_type": "nifti, nrrd",
        "intended_use": "Demonstration and teaching of heat maps. Not for any clinical use.",
        "references": ["Huang et al., Densely Connected Convolutional Networks, CVPR 2017"],
        "eval_metrics": {},
        "network_data_format": {
            "inputs": {"image": image},
            "outputs": {"pred": pred | {"dtype": "float32", "channel_def": CLASSES}},
        },
        "voxcam": {
            "default_layer": LAYER,
            "activation": "softmax",
            "background": 0,
            "input_unit": "HU",
            "input_range": list(HU_RANGE),
        },
    }


def compact(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without the single runs over a scan, and of random weights the values alone."""
    kept: dict[str, Any] = _without_runs(figures)
    kept["random_weights"] = [_values(one) for one in kept["random_weights"]]
    return kept


def card(figures: dict[str, Any]) -> str:
    """Return the model card: the text of `model_card.md` with its figures filled in."""
    tables = {"curve": cards.curve_table(CURVE)}
    return cards.filled(CARD.read_text(encoding="utf-8"), figures | {"tables": tables})


def _without_runs(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {name: _without_runs(value) for name, value in tree.items() if name != "runs"}


def _values(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return tree["value"] if "value" in tree else {name: _values(value) for name, value in tree.items()}


def _write_json(place: Path, content: dict[str, Any]) -> None:
    place.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the bundle, its figures, or both."""
    parser = argparse.ArgumentParser(description="Write the lung_nodule_3d bundle.")
    parser.add_argument("--trained", type=Path, help="the folder train wrote")
    parser.add_argument("--figures", type=Path, help="the file judge wrote")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.trained:
        write_bundle(asked.trained, asked.out)
    if asked.figures:
        write_figures(json.loads(asked.figures.read_text(encoding="utf-8")), asked.out)


if __name__ == "__main__":
    main()
