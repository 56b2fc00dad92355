"""The catalogue says of MONAI's networks what MONAI itself says, and leaves none out."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks import nets
from torch import nn

from tests.model.networks.sections import CASES, SMALL, section, small_section
from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.networks import build_network, input_channels, spatial_rank, stated_size
from voxcam.model.networks.catalogue import ALIASES, CATALOGUE, DROPPED, NETWORKS, TORCHVISION_MODELS
from voxcam.model.networks.refused import REFUSED

PAGE = Path(__file__).parents[3] / "docs" / "networks.md"
# Whole networks that monai.networks.nets holds in a module of its own, but does not export.
NOT_EXPORTED = {"CellSamWrapper", "DiffusionModelEncoder", "Restormer"}
MODULES = (
    "ahnet attentionunet autoencoder autoencoderkl basic_unet basic_unetplusplus cell_sam_wrapper "
    "classifier controlnet daf3d densenet diffusion_model_unet dints dynunet efficientnet "
    "flexible_unet fullyconnectednet generator highresnet hovernet hyena_nd_unetr "
    "masked_autoencoder_vit mednext milmodel navit netadapter patchgan_discriminator quicknat "
    "regressor regunet resnet restormer segresnet segresnet_ds senet spade_autoencoderkl "
    "spade_diffusion_model_unet spade_network swin_unetr torchvision_fc transchex transformer unet "
    "unetr varautoencoder vista3d vit vitautoenc vnet voxelmorph vqvae"
).split()
B0 = [
    "r1_k3_s11_e1_i32_o16_se0.25",
    "r2_k3_s22_e6_i16_o24_se0.25",
    "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25",
    "r3_k5_s11_e6_i80_o112_se0.25",
    "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
]


def exported() -> set[str]:
    return {
        name
        for name, found in vars(nets).items()
        if (inspect.isclass(found) and issubclass(found, nn.Module)) or inspect.isfunction(found)
    }


def test_every_network_of_monai_is_in_the_catalogue_or_refused_with_a_reason() -> None:
    assert NETWORKS | set(REFUSED) == exported() | NOT_EXPORTED
    assert not NETWORKS & set(REFUSED)
    assert all(len(reason) > 10 for reason in REFUSED.values())


def test_monai_has_no_module_that_nobody_looked_at() -> None:
    """What is not exported shows as a new module: look into it, then list it here."""
    assert {module.name for module in pkgutil.iter_modules(nets.__path__)} == set(MODULES)
    for name in NOT_EXPORTED:
        homes = [importlib.import_module(f"monai.networks.nets.{module}") for module in MODULES]
        assert any(getattr(home, name, None) for home in homes), name


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_arguments_are_those_of_monai(name: str) -> None:
    entry, found = CATALOGUE[name], inspect.signature(getattr(nets, name)).parameters
    assert entry.positional == tuple(key for key in found if key != "kwargs")
    if "kwargs" in found and name != "TorchVisionFCModel":
        base = nets.ResNet if name.startswith("resnet") else getattr(nets, name).__base__
        handed_on = set(inspect.signature(base).parameters) - {"block", "layers", "block_inplanes"}
        assert set(entry.keywords) == handed_on - set(entry.positional)
    else:
        assert not entry.keywords
    for argument, default in ((entry.rank, entry.default_rank), (entry.channels, entry.default_channels)):
        if default is not None and argument in found:
            assert found[argument].default == default
    named = {entry.rank, entry.outputs, entry.size, *([entry.channels] if entry.channels else [])} - {""}
    assert named <= {*entry.positional, *entry.keywords}


def test_aliases_are_the_same_object_in_monai() -> None:
    for alias, name in ALIASES.items():
        assert getattr(nets, alias) is getattr(nets, name), alias


@pytest.mark.parametrize(("name", "rank"), CASES)
@pytest.mark.usefixtures("_no_numbers_drawn")
def test_the_input_is_the_one_the_section_states(name: str, rank: int) -> None:
    network = build_network(small_section(name, rank, channels=2))
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    assert spatial_rank(network) == rank
    assert input_channels(network) == 2
    assert first is not None
    assert first.in_channels == 2
    assert isinstance(first, nn.Conv2d if rank == 2 else nn.Conv3d)
    assert (stated_size(network) is not None) == bool(CATALOGUE[name].size)


@pytest.mark.parametrize("rank", [2, 3])
def test_a_vit_without_a_convolution_is_known_too(rank: int) -> None:
    sizes = [32, 64, 16][:rank]
    network = build_network(
        small_section("ViT", rank, channels=3) | {"proj_type": "perceptron", "img_size": sizes}
    )
    assert not any(isinstance(module, nn.Conv2d | nn.Conv3d) for module in network.modules())
    assert (spatial_rank(network), input_channels(network), stated_size(network)) == (rank, 3, tuple(sizes))
    assert network(torch.zeros(2, 3, *sizes))[0].shape == (2, 3)


@pytest.fixture
def _no_numbers_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building is quick without; what is in the weights then is left to chance."""
    for name in ("kaiming_normal_", "kaiming_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_args, **_named: tensor)


THIN: dict[str, dict[str, Any]] = {
    "DenseNet": {"init_features": 4, "growth_rate": 2, "block_config": [1, 1, 1, 1]},
    "EfficientNet": {"blocks_args_str": B0, "width_coefficient": 0.25, "image_size": 224},
    "EfficientNetBN": {"model_name": "efficientnet-b0"},
    "SEResNet50": SMALL["SEResNet50"],
    "SENet154": SMALL["SENet154"],
}


STAGES: dict[str, dict[str, Any]] = {
    "DenseNet169": {"block_config": [1, 1, 1, 1], "norm": "batch"},
    "DenseNet264": {"block_config": [1, 1, 1, 1], "norm": "batch"},
    "EfficientNet": THIN["EfficientNet"],
    "ViT": {"num_layers": 12},
    "resnet34": {"conv1_t_size": 7, "conv1_t_stride": 1},
    "resnet50": {"no_max_pool": False},
}


@pytest.mark.parametrize("name", sorted(THIN))
def test_the_smallest_input_runs_and_a_smaller_one_does_not(name: str) -> None:
    """Of MONAI's default stages, made thin."""
    network, least = build_network(section(name, 2) | THIN[name]), CATALOGUE[name].smallest
    with torch.no_grad():
        assert network(torch.zeros(1, 1, least, least)).shape == (1, 3)
        with pytest.raises(RuntimeError):
            network(torch.zeros(1, 1, least - 1, least - 1))


@pytest.mark.parametrize("name", sorted(name for name in SMALL if CATALOGUE[name].smallest == 1))
def test_where_one_voxel_is_said_to_do_it_does(name: str) -> None:
    with torch.no_grad():
        assert build_network(small_section(name, 3))(torch.zeros(1, 1, 1, 1, 1)).shape == (1, 3)


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise AssertionError("it tried to reach the network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("_no_network")
def test_nothing_is_downloaded_whatever_is_asked() -> None:
    asked = {"pretrained": True, "progress": False, "adv_prop": True, "weights": "DEFAULT"}
    # Positive control: MONAI alone would fetch.
    with pytest.raises(AssertionError, match="reach the network"):
        nets.EfficientNetBN("efficientnet-b0", pretrained=True)
    for name, rank in CASES:
        if DROPPED & set(CATALOGUE[name].positional):
            build_network(small_section(name, rank) | asked)
    build_network(small_section("resnet10", 2) | {"pretrained": "/etc/hostname"})


def test_no_pickle_is_read_from_a_path_in_pretrained(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"not weights")
    asked = small_section("resnet10", 3)
    build_network(asked | {"pretrained": str(tmp_path / "weights.pt")})
    # Positive control: MONAI opens it.
    arguments = {key: value for key, value in asked.items() if key != "_target_"}
    with pytest.raises(Exception, match="(?i)pickle|weights|magic"):
        nets.resnet10(pretrained=str(tmp_path / "weights.pt"), **arguments)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_no_classifier_is_refused_in_one_line(name: str) -> None:
    for target in (name, f"monai.networks.nets.{name}"):
        with pytest.raises(ClassifierError, match="cannot serve as a classifier") as caught:
            build_network({"_target_": target})
        assert "\n" not in str(caught.value)


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(UntrustedCodeError, match="did you mean 'DenseNet121'"):
        build_network({"_target_": "DenseNet112"})
    for target in ("torch.nn.DenseNet121", "builtins.eval", "os.system", "DenseNet121.__init__", "", "."):
        with pytest.raises(UntrustedCodeError):
            build_network({"_target_": target})
    for odd in (None, [], {}, {"_target_": 3}, "DenseNet121"):
        with pytest.raises(ClassifierError, match="_target_"):
            build_network(odd)


def test_torchvision_is_asked_for_by_a_list_of_names() -> None:
    """Any attribute of torchvision.models could be called otherwise."""
    for name in ("get_model", "segmentation", "__loader__", "list_models"):
        with pytest.raises(ClassifierError, match="model_name"):
            build_network({"_target_": "TorchVisionFCModel", "model_name": name})
    assert not {name for name in TORCHVISION_MODELS if not re.fullmatch(r"[a-z0-9_]+", name)}


@pytest.mark.parametrize("model", ["resnet18", "densenet121", "vit_b_16"])
def test_torchvision_networks_load_as_monai_loads_them(model: str) -> None:
    pytest.importorskip("torchvision")
    fits: dict[str, dict[str, Any]] = {
        "resnet18": {},
        "densenet121": {"fc_name": "classifier", "pool": None},
        "vit_b_16": {"fc_name": "heads", "pool": None, "in_channels": 768},
    }
    asked = {"model_name": model, "num_classes": 3} | fits[model]
    network, expected = (
        build_network({"_target_": "TorchVisionFCModel"} | asked),
        nets.TorchVisionFCModel(**asked),
    )
    expected.eval().load_state_dict(network.state_dict())
    inputs = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(inputs), expected(inputs), rtol=1e-6, atol=1e-6)
    assert (spatial_rank(network), input_channels(network)) == (2, 3)


def test_without_torchvision_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ClassifierError, match="needs torchvision"):
        build_network({"_target_": "TorchVisionFCModel"})


def test_the_page_lists_what_the_catalogue_holds() -> None:
    text = PAGE.read_text()
    served, refused = text.split("## Refused")
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+) \|", served, flags=re.MULTILINE))
    assert sorted(rows) == sorted(CATALOGUE)
    for name, ranks in rows.items():
        assert ranks == ", ".join(f"{rank}D" for rank in CATALOGUE[name].ranks), name
        row = next(line for line in served.splitlines() if line.startswith(f"| `{name}`"))
        assert CATALOGUE[name].note in row, name
        assert all(f"`{alias}`" in row for alias, of in ALIASES.items() if of == name), name
    for name, reason in REFUSED.items():
        row = next(line for line in refused.splitlines() if f"| {reason} |" in line)
        assert f"`{name}`" in row
    assert set(DROPPED) <= set(re.findall(r"`(\w+)`", text))


WIDE = [("SENet", 3), ("SENet154", 3)]


@pytest.mark.parametrize(
    ("name", "rank"),
    [pytest.param(*case, marks=pytest.mark.slow) if case in WIDE else case for case in CASES],
)
def test_the_page_names_the_default_layer_and_its_stride(name: str, rank: int) -> None:
    """Asked of `cam.rank_layers`, in MONAI's default depth and strides, made thin."""
    from voxcam import cam

    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}`"))
    layer, stride, least = (cell.strip() for cell in row.split("|")[3:6])
    asked = small_section(name, rank) | STAGES.get(name, {})
    if CATALOGUE[name].size:
        asked |= {"in_shape": [1, *[64] * rank]} if "in_shape" in asked else {"img_size": 64}
        assert least == f"as `{CATALOGUE[name].size}`"
    else:
        assert least == str(CATALOGUE[name].smallest)
    found = cam.rank_layers(build_network(asked), (1, 1, *[64] * rank)).default
    assert layer == f"`{found.name}`"
    if stride.isdigit():
        assert found.stride == (float(stride),) * rank
