"""What a DICOM object is: an image, something derived that lies on one, or nothing to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxcam.io.left_out import LeftOut

if TYPE_CHECKING:
    from voxcam.io.dicom.attributes import Attributes

Kind = Literal["image", "segmentation", "structures", "parametric map", "dose"]

# By SOP class UID; PS3.4 B.5.
_KINDS: dict[str, Kind] = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.481.3": "structures",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose",
}
# By Modality (0008,0060): what is not an image to look at. Their SOP classes may hold rows and pixels.
NOT_IMAGES = {
    "AU": "audio",
    "DOC": "document",
    "ECG": "waveform",
    "EPS": "waveform",
    "HD": "waveform",
    "KO": "key object selection (KO)",
    "M3D": "model for printing (M3D)",
    "PLAN": "plan",
    "PR": "presentation state (PR)",
    "REG": "registration (REG)",
    "RESP": "waveform",
    "RTPLAN": "radiotherapy plan (RTPLAN)",
    "RTRECORD": "radiotherapy record (RTRECORD)",
    "RWV": "real world value map (RWV)",
    "SR": "structured report (SR)",
}
# By SOP class, where modality does not tell.
_NOT_IMAGE_CLASSES = {
    "1.2.840.10008.1.3.10": "index of a medium (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.66": "raw measurements",
    "1.2.840.10008.5.1.4.1.1.104.1": "document (PDF)",
}
_DERIVED_MODALITIES: dict[str, Kind] = {"SEG": "segmentation", "RTSTRUCT": "structures", "RTDOSE": "dose"}
NO_IMAGE = "DICOM without an image"
# Values of ImageType (0008,0008), beyond the second, that set images of one series apart: scouts and
# screens; projections; magnitude, phase, real, imaginary.
SCOUTS = ("LOCALIZER", "REF_SURVIEW", "PATIENT_INFO", "DOSE_INFO")
_APART = (*SCOUTS, "SCREEN SAVE", "MIP", "M", "P", "R", "I")


def kind_of(attributes: Attributes) -> Kind | LeftOut:
    """Return what the object is, or why it is left out."""
    modality = attributes.code("Modality")
    sop_class = attributes.text("SOPClassUID") or attributes.text("MediaStorageSOPClassUID")
    other = NOT_IMAGES.get(modality) or _NOT_IMAGE_CLASSES.get(sop_class)
    if other:
        return LeftOut(other)
    kind = _KINDS.get(sop_class) or _DERIVED_MODALITIES.get(modality, "image")
    if kind != "structures" and not (attributes.whole("Rows") and attributes.whole("Columns")):
        if not sop_class and not modality:
            return LeftOut("damaged DICOM header", refused=True)
        return LeftOut(NO_IMAGE)
    return kind


def apart_of(attributes: Attributes) -> str:
    """Return the words of ImageType that set the image apart from others of its series."""
    return " ".join(value for value in attributes.codes("ImageType")[2:] if value in _APART)
