"""No transform of MONAI is unknown: each is known to do something, or refused for a reason."""

from __future__ import annotations

import inspect

import monai.transforms
import pytest

from voxcam.model.preprocessing.catalogue import CATALOGUE, REFUSED, array_form, refusal

# Of MONAI before 1.0, still written in bundles.
OLD = {"AddChannel", "AsChannelFirst"}


def of_monai():
    found = vars(monai.transforms).items()
    return {
        n for n, thing in found if inspect.isclass(thing) and issubclass(thing, monai.transforms.Transform)
    }


def test_every_transform_of_monai_is_in_the_catalogue_or_refused():
    unknown = {name for name in of_monai() - {"Compose"} if array_form(name) is None}
    assert not unknown, "new in MONAI: say in the catalogue what they do, or why they are refused"


def test_nothing_is_listed_that_monai_does_not_have_or_listed_twice():
    forms = {array_form(name) for name in of_monai()}
    assert {name for name in {*CATALOGUE, *REFUSED} - OLD if name not in forms} == set()
    assert not CATALOGUE.keys() & REFUSED.keys()


def test_what_draws_by_chance_is_refused_as_random():
    """Whatever MONAI marks as randomisable, but for containers, and whatever is called so."""
    marked = {
        name
        for name in of_monai()
        if issubclass(getattr(monai.transforms, name), monai.transforms.Randomizable) and name != "Compose"
    }
    for name in marked | {name for name in of_monai() if name.startswith("Rand")}:
        assert array_form(name) not in CATALOGUE, name
        assert refusal(str(array_form(name)))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Spacing", "Spacing"),
        ("Spacingd", "Spacing"),
        ("SpacingD", "Spacing"),
        ("SpacingDict", "Spacing"),
        ("Pad", "Pad"),
        ("SpatialPadd", "SpatialPad"),
        ("RandFlipd", "RandFlipd"),
        ("DeleteItemsd", "DeleteItems"),
        ("Spacingdd", None),
        ("system", None),
        ("", None),
    ],
)
def test_dictionary_forms_are_known_by_the_array_form(written, name):
    assert array_form(written) == name


def test_dictionary_forms_have_the_defaults_of_the_array_form():
    """We build the array form whichever is written."""
    for name in CATALOGUE:
        forms = [getattr(monai.transforms, form, None) for form in (name, f"{name}d")]
        if None in forms:
            continue
        array, dictionary = (inspect.signature(form).parameters for form in forms)
        for argument in array.keys() & dictionary.keys():
            defaults = array[argument].default, dictionary[argument].default
            if argument != "dtype" and dictionary[argument].default is not inspect.Parameter.empty:
                assert defaults[0] == defaults[1], (name, argument)
