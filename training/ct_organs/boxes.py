"""Where the chest scan's organs lie, as boxes set by eye on every third to fifteenth slice.

The chest scan comes with a label map of its aorta only. The boxes (i0, i1, j0, j1), in the RAS+ voxel order
of the 1.5 mm scan, were set by a developer, not a radiologist. They only decide whether a crop *surely* holds
an organ (most of its box) or *surely* does not (none of it); crops in between stay out of its loss.
"""

from __future__ import annotations

Box = tuple[int, int, int, int]

CHEST_BOXES: dict[str, list[dict[int, Box]]] = {
    "liver": [
        {
            0: (88, 205, 38, 140),
            6: (98, 210, 35, 142),
            12: (85, 212, 33, 145),
            18: (85, 210, 33, 148),
            24: (80, 210, 40, 152),
            31: (75, 208, 50, 150),
            39: (80, 205, 62, 140),
            47: (118, 200, 72, 135),
            51: (125, 195, 78, 130),
            55: (143, 180, 85, 125),
        }
    ],
    "spleen": [
        {
            0: (52, 80, 48, 75),
            3: (42, 90, 42, 70),
            6: (38, 95, 40, 78),
            9: (30, 94, 38, 82),
            12: (26, 95, 37, 88),
            18: (26, 95, 38, 95),
            24: (26, 93, 44, 100),
            31: (29, 83, 53, 104),
            39: (45, 70, 68, 98),
        }
    ],
    "kidney": [{0: (128, 156, 42, 75), 6: (132, 148, 42, 65)}, {0: (78, 92, 42, 62), 1: (78, 92, 42, 62)}],
    "stomach": [
        {
            0: (62, 97, 112, 140),
            6: (62, 95, 110, 140),
            9: (60, 95, 85, 142),
            12: (60, 97, 80, 142),
            18: (60, 100, 75, 143),
            24: (58, 102, 78, 143),
            31: (58, 92, 78, 132),
        }
    ],
    "colon": [
        {
            0: (20, 100, 35, 138),
            6: (26, 88, 66, 133),
            12: (26, 64, 86, 132),
            18: (28, 62, 93, 134),
            24: (27, 50, 93, 132),
            27: (28, 46, 96, 125),
        }
    ],
    "vertebra": [
        {
            0: (96, 132, 20, 75),
            15: (92, 134, 18, 66),
            31: (97, 131, 16, 64),
            63: (97, 131, 20, 61),
            93: (97, 131, 19, 62),
            123: (97, 131, 20, 61),
            153: (96, 132, 24, 76),
            168: (94, 132, 28, 82),
            190: (94, 132, 33, 78),
        }
    ],
}

# First and last slice where the eye cannot say whether the organ is still there; what the boxes hold stays.
CHEST_DOUBTFUL: dict[str, tuple[int, int]] = {
    "liver": (56, 60),
    "spleen": (40, 44),
    "kidney": (0, 12),
    "stomach": (32, 44),
    "colon": (28, 36),
    "aorta": (150, 175),
}
