"""Networks are built from plain values, in bounded size, as they will be used."""

from __future__ import annotations

import resource
import threading
from typing import Any

import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.model.networks.sections import SMALL, small_section
from voxcam.errors import ClassifierError
from voxcam.model.networks import build_network, input_channels, spatial_rank, stated_size
from voxcam.model.networks.bounds import TooLargeError, refuse_unless_bounded
from voxcam.model.networks.catalogue import CATALOGUE


def test_arguments_that_do_not_fit_are_one_clear_line() -> None:
    with pytest.raises(ClassifierError, match="DenseNet cannot be built .* no argument 'no_such_argument'"):
        build_network(DENSENET_3D | {"no_such_argument": 1})
    with pytest.raises(ClassifierError, match="did you mean 'growth_rate'"):
        build_network(DENSENET_3D | {"growthrate": 1})
    with pytest.raises(ClassifierError, match="DenseNet cannot be built"):
        build_network(DENSENET_3D | {"act": "no such layer"})
    with pytest.raises(ClassifierError, match="_target_"):
        build_network("DenseNet")


def test_rank_and_channels_of_a_network_from_elsewhere_are_told_by_its_first_convolution() -> None:
    elsewhere = nn.Sequential(nn.Identity(), nn.Conv2d(4, 2, 3), nn.Conv2d(2, 1, 3))
    assert (spatial_rank(elsewhere), input_channels(elsewhere), stated_size(elsewhere)) == (2, 4, None)
    assert spatial_rank(nn.Conv3d(1, 1, 3)) == 3
    with pytest.raises(ClassifierError, match="no 2D or 3D convolution"):
        spatial_rank(nn.Linear(2, 2))


def test_it_comes_in_eval_mode_on_the_cpu_in_float32() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        network = build_network(DENSENET_2D)
    finally:
        torch.set_default_dtype(torch.float32)
    assert not any(module.training for module in network.modules())
    tensors = [*network.parameters(), *network.buffers()]
    assert {(t.dtype, t.device.type) for t in tensors if t.is_floating_point()} == {(torch.float32, "cpu")}


PER_VOXEL = {"img_size": 20_000, "patch_size": 1}
LAYERS = {"block": "basic", "layers": [10**9, 1, 1, 1], "block_inplanes": [1, 1, 1, 1]}
ABSURD: list[tuple[str, dict[str, Any]]] = [
    ("DenseNet", {"out_channels": 10**9}),
    ("DenseNet", {"init_features": 10**9}),
    ("DenseNet", {"growth_rate": 10**9}),
    ("DenseNet", {"block_config": [10**9]}),
    ("DenseNet", {"block_config": [1] * 5_000}),
    ("DenseNet", {"norm": ["group", {"num_groups": 1, "num_channels": 2**30}]}),
    ("DenseNet", {"act": ["prelu", {"num_parameters": 2**30}]}),
    ("resnet10", {"widen_factor": 1e5}),
    ("resnet10", {"widen_factor": 1e300}),
    ("resnet10", {"conv1_t_size": 10**6}),
    ("resnet200", {"num_classes": 10**8}),
    ("ResNet", LAYERS),
    ("SEResNet50", {"layers": [1, 1, 1, 10**9]}),
    ("SENet154", {"inplanes": 10**8}),
    ("EfficientNet", {"depth_coefficient": 1e9}),
    ("EfficientNet", {"width_coefficient": 1e9}),
    ("EfficientNet", {"blocks_args_str": ["r999999999_k3_s11_e1_i32_o16_se0.25"]}),
    ("EfficientNet", {"blocks_args_str": ["r1_k999999999_s11_e1_i32_o16_se0.25"]}),
    ("ViT", {"hidden_size": 2**30}),
    ("ViT", {"num_layers": 10**9}),
    ("ViT", PER_VOXEL),
    ("ViT", PER_VOXEL | {"pos_embed_type": "sincos"}),
    ("ViT", PER_VOXEL | {"pos_embed_type": "fourier"}),
    ("Classifier", {"channels": [10**6, 10**6]}),
    ("Classifier", {"in_shape": [1, 2**20, 2**20, 2**20]}),
    ("Classifier", {"num_res_units": 10**9}),
    ("Regressor", {"out_shape": [2**30]}),
    ("Discriminator", {"kernel_size": 10**6 + 1}),
]


@pytest.mark.parametrize(("name", "absurd"), ABSURD, ids=range(len(ABSURD)))
def test_an_absurd_size_is_refused_before_memory_is_taken(name: str, absurd: dict[str, Any]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ClassifierError, match="larger than VoxCAM builds|cannot be built") as caught:
        build_network(small_section(name, 3) | absurd)
    assert len(str(caught.value).splitlines()) == 1
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 300_000


def test_numbers_and_modules_are_counted() -> None:
    """The closed forms: 4 bytes a number, one for each module that is put into another."""
    refuse_unless_bounded(lambda: nn.Linear(10**9 - 1, 1, bias=True))
    with pytest.raises(TooLargeError, match="more than 4 GB"):
        refuse_unless_bounded(lambda: nn.Linear(10**9, 1, bias=True))
    with pytest.raises(TooLargeError, match="more than 4 GB"):
        refuse_unless_bounded(lambda: nn.BatchNorm1d(250_000_001, affine=True))
    refuse_unless_bounded(lambda: nn.Sequential(*[nn.Identity() for _ in range(10_000)]))
    with pytest.raises(TooLargeError, match="more than 10,000 modules"):
        refuse_unless_bounded(lambda: nn.Sequential(*[nn.Identity() for _ in range(10_001)]))


def test_another_thread_builds_unbounded_meanwhile() -> None:
    built: list[nn.Module] = []

    def build_here() -> nn.Module:
        with torch.device("meta"):
            thread = threading.Thread(target=lambda: built.append(nn.Sequential(*[nn.ReLU()] * 30_000)))
            thread.start()
            thread.join()
        return nn.Identity()

    refuse_unless_bounded(build_here)
    assert len(built[0]) == 30_000
    assert nn.Linear(2, 2).weight.device.type == "cpu"


ODD: list[Any] = [
    float("nan"),
    float("inf"),
    2**31,
    -(2**31),
    "a" * 201,
    b"bytes",
    1j,
    {1, 2},
    len,
    nn.ReLU,
    torch.float16,
    torch.zeros(1),
    {"device": "cuda"},
    {"dtype": "float16"},
    ["batch", {"device": "cpu", "num_features": 2**30}],
    {1: 2},
    [[[[[[[[[1]]]]]]]]],
    list(range(10_001)),
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_arguments_are_plain_values(odd: Any) -> None:
    for argument in ("norm", "act", "growth_rate"):
        with pytest.raises(ClassifierError, match="DenseNet cannot be built") as caught:
            build_network(DENSENET_3D | {argument: odd})
        assert len(str(caught.value).splitlines()) == 1


def test_nesting_and_length_have_bounds() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for long in (deep, list(range(10_001))):
        with pytest.raises(ClassifierError, match="nested too deep or too long"):
            build_network(DENSENET_3D | {"block_config": long})
    with pytest.raises(ClassifierError, match="found a list without"):
        build_network(deep)
    with pytest.raises(ClassifierError, match="2 or 3 spatial axes") as caught:
        build_network(DENSENET_3D | {"spatial_dims": list(range(9_000))})
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("rank", [1, 0, -1, 4, 3.0, True, None, "3", [3], 10**9])
def test_a_network_has_two_or_three_spatial_axes(rank: Any) -> None:
    """MONAI takes 0 for 3 (it looks at the end of a tuple)."""
    with pytest.raises(ClassifierError, match="2 or 3 spatial axes"):
        build_network(DENSENET_3D | {"spatial_dims": rank})
    if isinstance(rank, int) and 0 < rank < 10:
        with pytest.raises(ClassifierError, match="2 or 3 spatial axes"):
            build_network(small_section("Classifier", 2) | {"in_shape": [1, *[32] * (4 if rank == 4 else 1)]})


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("resnet10", {"feed_forward": False}, "features, not classes"),
        ("ViT", {"classification": False}, "tokens, not classes"),
        ("ViT", {"img_size": [32, 32]}, "expected 3 sizes"),
        ("ViT", {"img_size": None}, "expected 3 sizes"),
        ("Classifier", {"in_shape": []}, "spatial axes"),
        ("Classifier", {"in_shape": 32}, "spatial axes"),
        ("Classifier", {"in_shape": [0, 32, 32]}, "number of channels"),
        ("DenseNet", {"in_channels": -1}, "number of channels"),
    ],
)
def test_what_would_be_no_classifier_is_refused(name: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ClassifierError, match=why):
        build_network(small_section(name, 3) | changes)
    if "classification" in changes:
        section = small_section(name, 3)
        del section["classification"]
        with pytest.raises(ClassifierError, match="found nothing"):
            build_network(section)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.integers()
    | st.floats()
    | st.sampled_from(["relu", "batch", "instance", "", "conv", "perceptron", "B", "basic", "$1", "@x"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
FUZZED = ["Classifier", "DenseNet", "DenseNet121", "EfficientNet", "ResNet", "TorchVisionFCModel", "ViT"]


@given(data=st.data(), name=st.sampled_from(FUZZED))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_section_is_a_network_or_one_line(data: st.DataObject, name: str) -> None:
    entry = CATALOGUE[name]
    section = small_section(name, 2) if name in SMALL else {"_target_": name, "model_name": "resnet18"}
    for key in data.draw(st.sets(st.sampled_from([*entry.positional, *entry.keywords]), max_size=2)):
        section[key] = data.draw(values)
    try:
        network: nn.Module | None = build_network(section)
        why = ""
    except ClassifierError as error:
        network, why = None, str(error)
    assert len(why.splitlines()) == (0 if network else 1)
    if network:
        assert spatial_rank(network) in (2, 3)
        assert {tensor.device.type for tensor in network.parameters()} == {"cpu"}


def test_the_section_is_left_as_it_was_and_descriptions_are_passed_over() -> None:
    section = small_section("EfficientNet", 2) | {"_desc_": "a note for the reader"}
    copy = {key: list(value) if isinstance(value, list) else value for key, value in section.items()}
    build_network(section)
    assert section == copy
