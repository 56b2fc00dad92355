from __future__ import annotations

import numpy as np
import pytest

from voxcam.core.explanation import Explanation
from voxcam.core.explanation_folder import load
from voxcam.core.geometry import Geometry
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError


def heatmap(class_name, method="grad-cam", layer="layer4", top=1.0):
    values = np.array([-1.0, top], np.float32).reshape(2, 1, 1)
    return Heatmap(Volume(values, Geometry((2, 1, 1), np.eye(4)), unit="logit"), class_name, method, layer)


def explanation(*heatmaps):
    scores = {"normal": 0.1, "nodule": 0.7, "effusion": 0.2}
    return Explanation(scores, dict.fromkeys(scores, 0.0), heatmaps)


def test_names_come_in_the_classifiers_order_and_in_the_order_asked():
    said = explanation(
        heatmap("nodule", "layer-cam", "layer3"), heatmap("normal", "grad-cam"), heatmap("nodule", "grad-cam")
    )
    assert said.classes == ("normal", "nodule", "effusion")
    assert said.explained == ("normal", "nodule")
    assert said.methods == ("layer-cam", "grad-cam")
    assert said.layers == ("layer3", "layer4")
    assert said.top_class == "nodule"


def test_of_equal_scores_the_first_class_is_the_top():
    assert Explanation({"a": 0.5, "b": 0.5}, {}, ()).top_class == "a"


def test_a_heatmap_is_looked_up_by_class_then_method_then_layer():
    maps = [heatmap(c, m, lay) for c in ("nodule", "normal") for m in ("x", "y") for lay in ("l1", "l2")]
    said = explanation(*maps)
    assert said.heatmap("normal") is maps[4]
    assert said.heatmap("normal", "y") is maps[6]
    assert said.heatmap("normal", layer="l2") is maps[5]
    assert said.heatmap("nodule", "y", "l2") is maps[3]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("noduel",), "no heatmap of 'noduel': there is normal, nodule (did you mean 'nodule'?)"),
        (("effusion",), "no heatmap of 'effusion': there is normal, nodule"),
        (("nodule", "gradcam"), "no heatmap of 'gradcam': there is grad-cam (did you mean 'grad-cam'?)"),
        (("nodule", None, "layer5"), "no heatmap of 'layer5': there is layer4 (did you mean 'layer4'?)"),
        (("nodule", "zzz"), "no heatmap of 'zzz': there is grad-cam"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(asked, says):
    with pytest.raises(ExplainError) as raised:
        explanation(heatmap("nodule"), heatmap("normal")).heatmap(*asked)
    assert str(raised.value) == says


def test_a_combination_that_was_not_asked_is_said_to_be_missing():
    said = explanation(heatmap("nodule", "grad-cam"), heatmap("normal", "layer-cam"))
    with pytest.raises(ExplainError, match="no heatmap of class 'normal' by grad-cam at layer4"):
        said.heatmap("normal")


def test_an_explanation_of_scores_alone_says_that_it_has_no_heatmaps():
    said = explanation()
    with pytest.raises(ExplainError, match="holds no heatmaps"):
        said.heatmap("nodule")
    assert said.value_range() == (0, 1)
    assert said.explained == said.methods == said.layers == ()


def test_all_classes_share_the_range_up_to_the_highest_evidence():
    said = explanation(heatmap("nodule", top=2), heatmap("normal", top=7.5), heatmap("effusion", top=np.nan))
    assert said.value_range() == (0, 7.5)


def test_the_range_is_of_the_asked_method_and_layer():
    said = explanation(
        heatmap("nodule", "a", "l1", 2), heatmap("nodule", "b", "l1", 30), heatmap("nodule", "a", "l2", 400)
    )
    assert said.value_range() == (0, 2)
    assert said.value_range("b") == (0, 30)
    assert said.value_range(layer="l2") == (0, 400)


def test_maps_without_positive_evidence_light_nothing_up():
    said = explanation(heatmap("nodule", top=0), heatmap("normal", top=-3))
    low, high = said.value_range()
    assert (low, high) == (0, 1)
    assert all((m.values <= low).all() for m in said.heatmaps)


def test_save_writes_what_load_reads(tmp_path):
    place = explanation(heatmap("nodule", top=5)).save(tmp_path / "out")
    assert load(place).heatmap("nodule").largest == 5


def test_no_two_explanations_share_a_provenance():
    assert explanation().provenance is not explanation().provenance
