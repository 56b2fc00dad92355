"""Configurations of the forms that published classifiers have: what is read of them without running any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.model.bundle.small_bundles import small_bundle
from voxcam.errors import UntrustedCodeError
from voxcam.model.bundle import Bundle, read_bundle

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
EVALUATOR = {
    "_target_": "SupervisedEvaluator",
    "network": "@network",
    "inferer": "@inferer",
    "device": "@device",
}
RUN = ["$setattr(torch.backends.cudnn, 'benchmark', True)", "$@evaluator.run()"]

# A frame classifier: a list of files from a JSON file, a 2D network of three channels, types of torch.
FRAMES: dict[str, Any] = {
    "imports": ["$import json", "$import os"],
    "bundle_root": "/data/frames",
    "list_path": "$@bundle_root+'/list.json'",
    "list_file": "$open(@list_path, 'r', encoding='utf8')",
    "entries": "$json.load(@list_file)",
    "device": DEVICE,
    "network_def": {"_target_": "SEResNet50", "spatial_dims": 2, "in_channels": 3, "num_classes": 2},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Resized", "keys": "image", "spatial_size": [128, 128], "mode": "bilinear"},
            {"_target_": "CastToTyped", "keys": "image", "dtype": "$torch.float32"},
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ],
    },
    "dataset": {"_target_": "Dataset", "data": "@entries", "transform": "@preprocessing"},
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "AsDiscreted", "keys": ["pred"], "argmax": True, "to_onehot": 2}],
    },
    "evaluator": EVALUATOR,
    "evaluating": RUN,
}

# A mammogram classifier: a network of torchvision's, data made by a script, "import" for "imports".
MAMMOGRAMS: dict[str, Any] = {
    "import": ["$import glob", "$import torchvision"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/output'",
    "data": {"_target_": "scripts.make_list.MakeList", "filename": "./configs/list.json"},
    "images": "$@data.make('Test')[0]",
    "dataset": {
        "_target_": "CacheDataset",
        "data": "$[{'image': i} for i in @images]",
        "transform": "@preprocessing",
    },
    "device": DEVICE,
    "network_def": {
        "_target_": "TorchVisionFCModel",
        "model_name": "inception_v3",
        "num_classes": 4,
        "in_channels": 2048,
        "use_conv": False,
        "pool": "",
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0.0, "maxv": 1.0},
            {"_target_": "Resized", "keys": "image", "spatial_size": [299, 299]},
        ],
    },
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
        ],
    },
    "handlers": [{"_target_": "StatsHandler", "output_transform": "$lambda x: None"}],
    "evaluator": EVALUATOR,
    "evaluating": RUN,
}

# A patch classifier of whole slides: a reader of slides and lambdas, all in sections that are not read.
SLIDES: dict[str, Any] = {
    "imports": ["$import os"],
    "bundle_root": ".",
    "output_dir": "$os.path.join(@bundle_root, 'out')",
    "reader": "cuCIM",
    "device": DEVICE,
    "network_def": {
        "_target_": "TorchVisionFCModel",
        "model_name": "resnet18",
        "num_classes": 1,
        "use_conv": True,
        "pretrained": True,
    },
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "CastToTyped", "keys": "image", "dtype": "float32"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0.0, "a_max": 255.0},
        ],
    },
    "datalist": {
        "_target_": "CSVDataset",
        "src": "list.csv",
        "transform": {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x + '.tif'"},
    },
    "dataset": {"_target_": "MaskedPatchWSIDataset", "data": "@datalist", "reader": "@reader"},
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
    "evaluator": EVALUATOR,
}

# The template, in YAML: keys of MONAI's enumeration, a list of transforms in a section of its own.
TEMPLATE = """
imports: [$import os, $import glob]
image: $monai.utils.CommonKeys.IMAGE
pred: $monai.utils.CommonKeys.PRED
classes: 3  # how many
device: $torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')
bundle_root: .
weights: $@bundle_root + '/models/model.pt'
network_def: {_target_: DenseNet121, spatial_dims: 2, in_channels: 1, out_channels: '@classes'}
network: $@network_def.to(@device)
transforms:
- _target_: LoadImaged
  keys: '@image'
- _target_: EnsureChannelFirstd
  keys: '@image'
- _target_: ScaleIntensityd
  keys: '@image'
preprocessing:
  _target_: Compose
  transforms: $@transforms
inferer:
  _target_: SimpleInferer
postprocessing:
  _target_: Compose
  transforms:
  - _target_: Activationsd
    keys: '@pred'
    softmax: true
  - _target_: AsDiscreted
    keys: ['@pred']
    argmax: [true]
    to_onehot: '@classes'
  - _target_: ToTensord
    keys: ['@pred']
    device: '@device'
val_handlers:
- _target_: CheckpointLoader
  _disabled_: $not os.path.exists(@weights)
  load_path: '@weights'
evaluator:
  _target_: SupervisedEvaluator
  network: '@network'
run: ["$@evaluator.run()"]
"""
FORMS: dict[str, Any] = {"frames": FRAMES, "mammograms": MAMMOGRAMS, "slides": SLIDES, "template": TEMPLATE}


def _bundle(folder: Path, form: str) -> Bundle:
    return read_bundle(small_bundle(folder, FORMS[form]))


@pytest.mark.parametrize("form", list(FORMS))
def test_all_four_forms_are_read_without_trust(tmp_path: Path, form: str) -> None:
    bundle = _bundle(tmp_path, form)
    assert bundle.would_run == ()
    plain = json.dumps([bundle.network, bundle.preprocessing, bundle.inferer, bundle.postprocessing])
    assert not any(mark in plain for mark in ('"$', '"@', '"%'))


@pytest.mark.parametrize(
    ("form", "network"),
    [
        ("frames", {"_target_": "SEResNet50", "spatial_dims": 2, "in_channels": 3, "num_classes": 2}),
        # Built by MONAI with torchvision, which is another package.
        (
            "mammograms",
            {
                "_target_": "TorchVisionFCModel",
                "model_name": "inception_v3",
                "num_classes": 4,
                "in_channels": 2048,
                "use_conv": False,
                "pool": "",
            },
        ),
        (
            "slides",
            {
                "_target_": "TorchVisionFCModel",
                "model_name": "resnet18",
                "num_classes": 1,
                "use_conv": True,
                "pretrained": True,
            },
        ),
        ("template", {"_target_": "DenseNet121", "spatial_dims": 2, "in_channels": 1, "out_channels": 3}),
    ],
)
def test_the_network_is_the_section_it_is_moved_from(tmp_path: Path, form: str, network: Any) -> None:
    bundle = _bundle(tmp_path, form)
    assert bundle.network == network
    assert bundle.section("network") == network
    assert "network" not in bundle.unused


@pytest.mark.parametrize(
    ("form", "unused", "holds"),
    [
        (
            "frames",
            {
                "imports",
                "bundle_root",
                "list_path",
                "list_file",
                "entries",
                "dataset",
                "evaluator",
                "evaluating",
            },
            ("imports: 2", "expressions in sections that are not read: 5"),
        ),
        (
            "mammograms",
            {
                *("import", "bundle_root", "output_dir", "data", "images", "dataset"),
                *("handlers", "evaluator", "evaluating"),
            },
            ("imports: 2", "expressions in sections that are not read: 6"),
        ),
        (
            "slides",
            {"imports", "reader", "datalist", "dataset", "evaluator"},
            ("imports: 1", "expressions in sections that are not read: 1"),
        ),
        (
            "template",
            {"imports", "bundle_root", "weights", "val_handlers", "evaluator", "run"},
            ("imports: 2", "expressions in sections that are not read: 3"),
        ),
    ],
)
def test_what_is_not_read_is_named_and_counted(
    tmp_path: Path, form: str, unused: set[str], holds: tuple[str, ...]
) -> None:
    bundle = _bundle(tmp_path, form)
    assert set(bundle.unused) == unused
    assert bundle.also_holds == holds


@pytest.mark.parametrize("form", ["frames", "mammograms", "template"])
def test_transforms_are_those_that_monai_builds(tmp_path: Path, form: str) -> None:
    from monai.bundle import ConfigParser

    bundle = _bundle(tmp_path, form)
    parser = ConfigParser()
    parser.read_config(str(next((tmp_path / "configs").glob("inference.*"))))
    for section, found in (
        ("preprocessing", bundle.preprocessing),
        ("postprocessing", bundle.postprocessing),
    ):
        built = parser.get_parsed_content(section).transforms
        assert [entry["_target_"] for entry in found["transforms"]] == [type(t).__name__ for t in built]
        keys = [entry["keys"] for entry in found["transforms"]]
        assert [(key,) if isinstance(key, str) else tuple(key) for key in keys] == [t.keys for t in built]


# What takes trust, as published segmentation and detection bundles have it.
TRUSTED = {
    "a network of its own": (
        {"network_def": {"_target_": "scripts.nets.Net", "in_channels": 1}},
        ["inference.json line 2 (network_def) is an object of a class outside MONAI: 'scripts.nets.Net'"],
    ),
    "a transform of its own in a list that is added": (
        {
            "first": [{"_target_": "LoadImaged"}],
            "own": [{"_target_": "scripts.steps.Merge"}],
            "preprocessing": {"_target_": "Compose", "transforms": "$@first + @own"},
        },
        ["inference.json line 8 (own::0) is an object of a class outside MONAI: 'scripts.steps.Merge'"],
    ),
    "an architecture in a file": (
        {
            "arch": "$torch.load(@path, map_location='cpu')",
            "path": "$@root + '/models/arch.pt'",
            "root": ".",
            "network_def": {
                "_target_": "DiNTS",
                "dints_space": {"_target_": "TopologyInstance", "arch_code": ["$@arch['a']", "$@arch['c']"]},
                "node_a": "$torch.from_numpy(@arch['node_a'])",
            },
        },
        [
            "inference.json line 2 (arch) is an expression with a call of 'torch.load': "
            "\"$torch.load(@path, map_location='cpu')\"",
            "inference.json line 14 (network_def::node_a) is an expression with a call of "
            "'torch.from_numpy': \"$torch.from_numpy(@arch['node_a'])\"",
        ],
    ),
    "a lambda on the answer": (
        {
            "postprocessing": {
                "_target_": "Compose",
                "transforms": [{"_target_": "Lambdad", "func": "$lambda x: x[1:]"}],
            }
        },
        [
            "inference.json line 7 (postprocessing::transforms::0::func) is an expression with a lambda: "
            "'$lambda x: x[1:]'"
        ],
    ),
    "a sampler that needs steps first": (
        {"inferer": {"_target_": "scripts.Sampler", "_requires_": "@steps"}, "steps": "$@s.set(50)"},
        [
            "inference.json line 4 (inferer::_requires_) is a requirement that runs first: '@steps'",
            "inference.json line 2 (inferer) is an object of a class outside MONAI: 'scripts.Sampler'",
        ],
    ),
}


@pytest.mark.parametrize("what", list(TRUSTED))
def test_what_takes_trust_is_said_with_its_place(tmp_path: Path, what: str) -> None:
    config, expected = TRUSTED[what]
    assert [str(need) for need in read_bundle(small_bundle(tmp_path, config)).would_run] == expected


def test_all_needs_are_found_not_the_first(tmp_path: Path) -> None:
    config = {
        "network_def": {"_target_": "DenseNet", "norm": "$evil()", "act": ["$worse()"]},
        "preprocessing": {"_target_": "Compose", "transforms": ["%/etc/passwd", {"_target_": "x.Y"}]},
        "inferer": {"_target_": "SimpleInferer", "a": "$f'{@b}'", "b": "@c"},
        "c": "$lambda: 0",
    }
    bundle = read_bundle(small_bundle(tmp_path, config))
    assert [need.place for need in bundle.would_run] == [
        "network_def::norm",
        "network_def::act::0",
        "preprocessing::transforms::0",
        "preprocessing::transforms::1",
        "inferer::a",
        "c",
    ]
    with pytest.raises(UntrustedCodeError, match=r"line 4 \(network_def::norm\)"):
        _ = bundle.network


def test_torchscript_takes_trust(tmp_path: Path) -> None:
    place = small_bundle(tmp_path, {"network_def": {"_target_": "DenseNet"}})
    (place / "models" / "model.pt").rename(place / "models" / "model.ts")
    bundle = read_bundle(place)
    assert bundle.weights.name == "model.ts"
    assert [str(need) for need in bundle.would_run] == [
        "models/model.ts is TorchScript, a program that holds its weights"
    ]
    assert bundle.also_holds == ("TorchScript programs: 1",)
