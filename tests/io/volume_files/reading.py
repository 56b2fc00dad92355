"""What the tests of whole-volume formats share: reading by a format's own module, without a scan."""

from __future__ import annotations

import numpy as np
import SimpleITK

from voxcam.io.left_out import LeftOut

TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def header(module, path):
    assert module.recognises(path, path.read_bytes()[:352])
    found = module.read_header(path)
    assert not isinstance(found, LeftOut), found.reason
    return found


def series(module, path):
    (one,) = module.series_of([header(module, path)], [])
    return one


def read(module, path):
    return module.read(series(module, path))


def reason(module, path):
    """Return why a file is refused: one line, of words of its own."""
    found = module.read_header(path)
    assert isinstance(found, LeftOut), "it was not refused"
    assert found.refused
    assert "\n" not in found.reason
    assert not (found.reason.startswith("damaged") and found.reason.endswith("file")), (
        "the last net caught it"
    )
    return found.reason


def itk_affine(image):
    """Return the affine to RAS+ of an image of SimpleITK, whose world is LPS."""
    size = image.GetDimension()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(size, size)[:3, :3]
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return TURN @ affine


def itk_image(voxels, affine):
    """Return an image of SimpleITK at an affine to RAS+ without shear."""
    lps = TURN @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image
