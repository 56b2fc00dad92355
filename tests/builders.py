"""Writers of small DICOM series with a known place in the world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SOP_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
# What highdicom copies from the images that something is derived from.
OF_A_STUDY = {
    "StudyID": "1",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "SeriesNumber": 1,
    "AccessionNumber": "",
    "PatientBirthDate": "",
    "PatientSex": "O",
    "ReferringPhysicianName": "",
    "Manufacturer": "None",
    "PositionReferenceIndicator": "",
}


def rotation(angles):
    """A rotation about x, y, z by degrees."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def affine_of(angles=(0, 0, 0), spacing=(0.8, 0.9, 2.5), origin=(-40.0, -30.0, 100.0), shear=(0.0, 0.0)):
    """A (4, 4) affine to RAS mm a scanner could have: i and j at a right angle, k leaning by `shear` mm.

    Axes i, j, k point to L, P, S where angles are 0.
    """
    axes = rotation(angles) @ np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = axes[:, 0] * spacing[0], axes[:, 1] * spacing[1]
    affine[:3, 2] = axes[:, 2] * spacing[2] + axes[:, 0] * shear[0] + axes[:, 1] * shear[1]
    affine[:3, 3] = origin
    return affine


def noise(shape=(7, 5, 4), seed=0, high=2000):
    """Stored values (i, j, k), no two slices or rows alike."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.int16)


def write_dicom_series(folder, voxels, affine=None, *, order=None, each=None, compress=None, **elements):
    """Write stored values (i, j, k) as one single-frame DICOM file a slice, and return the paths by k.

    Parameters
    ----------
    affine
        (4, 4) voxel index to RAS mm; the k axis on the side of i x j.
    order
        File n holds slice ``order[n]``; InstanceNumber follows the file, so position alone tells.
    each
        Function (k) -> dict of elements that differ from slice to slice.
    compress
        Transfer syntax UID to encode to.
    elements
        Attributes by DICOM keyword; None takes the attribute away.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    affine = affine_of() if affine is None else np.asarray(affine)
    order = range(voxels.shape[2]) if order is None else order
    shared = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    shared["FrameOfReferenceUID"] = generate_uid()
    paths = {}
    for number, k in enumerate(order):
        dataset = slice_dataset(voxels[:, :, k], affine, k, elements.get("Modality", "CT"))
        own = {**shared, "InstanceNumber": number + 1, **elements, **(each(k) if each else {})}
        for keyword, value in own.items():
            if value is None:
                if keyword in dataset:
                    delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        paths[k] = folder / f"{number:03d}"
        write(dataset, paths[k], compress)
    return [paths[k] for k in sorted(paths)]


def slice_dataset(pixels, affine, k, modality="CT"):
    """A data set of one slice (i, j) at its place."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    dataset = Dataset()
    dataset.SOPClassUID = SOP_CLASSES.get(modality, "1.2.840.10008.5.1.4.1.1.7")
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = modality
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Nobody^At^All", "0"
    dataset.ImageOrientationPatient = decimals([*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])])
    dataset.ImagePositionPatient = decimals(lps[:3, :3] @ (0, 0, k) + lps[:3, 3])
    dataset.PixelSpacing = decimals([spacing[1], spacing[0]])
    dataset.SliceThickness = decimals([spacing[2]])[0]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels.T).astype(f"<{pixels.dtype.kind}2").tobytes()
    return dataset


def decimals(numbers):
    """As DICOM's decimal strings hold them: 16 characters."""
    found = []
    for number in numbers:
        digits = 16
        while len(f"{number:.{digits}g}") > 16:
            digits -= 1
        found.append(f"{number:.{digits}g}")
    return found


def write(dataset, path, compress=None):
    """Write a data set as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    if compress is not None:
        dataset.compress(compress, generate_instance_uid=False)
    dcmwrite(path, dataset, enforce_file_format=True)


def write_enhanced(path, frames, pixels, affine=None, *, each=None, shared=None, **elements):
    """Write an enhanced multi-frame file, frame n showing slice ``frames[n]`` of `affine`; return `path`.

    Parameters
    ----------
    pixels
        Stored values (i, j, frame).
    each
        Function (frame) -> {sequence keyword: elements by keyword} of its own functional groups.
    shared
        The same, of the groups that all frames share, beside orientation and spacing.
    elements
        Attributes of the file by keyword; None takes the attribute away.
    """
    affine = affine_of() if affine is None else np.asarray(affine)
    modality = elements.get("Modality", "MR")
    dataset = slice_dataset(pixels[:, :, 0], affine, 0, modality)
    dataset.SOPClassUID = ENHANCED.get(modality, ENHANCED["MR"])
    dataset.PixelData = np.ascontiguousarray(pixels.T).tobytes()
    dataset.NumberOfFrames = len(frames)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3", "1.2.4"
    dataset.FrameOfReferenceUID = "1.2.5"
    measures = {name: dataset[name].value for name in ("PixelSpacing", "SliceThickness")}
    common = {
        "PixelMeasuresSequence": measures,
        "PlaneOrientationSequence": {"ImageOrientationPatient": list(dataset.ImageOrientationPatient)},
        **(shared or {}),
    }
    dataset.SharedFunctionalGroupsSequence = [_groups(common)]
    places = [slice_dataset(pixels[:, :, 0], affine, k).ImagePositionPatient for k in frames]
    dataset.PerFrameFunctionalGroupsSequence = [
        _groups({"PlanePositionSequence": {"ImagePositionPatient": list(place)}, **(each(n) if each else {})})
        for n, place in enumerate(places)
    ]
    for keyword in (*measures, *(f"Image{name}Patient" for name in ("Position", "Orientation"))):
        delattr(dataset, keyword)
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        delattr(dataset, keyword)
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(dataset, path)
    return path


ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}


def _groups(groups):
    """An item of functional groups, one item in each; a dict among the elements is a sequence itself."""
    item = Dataset()
    for keyword, value in groups.items():
        setattr(item, keyword, [_groups(value)] if isinstance(value, dict) else value)
    return item
