"""What a model states of itself: classes, how outputs are read, what it was trained on."""

from voxcam.model.statement.noun import NOT_STATED, Statement
from voxcam.model.statement.reading import read_statement
from voxcam.model.statement.values import STATED

__all__ = ["NOT_STATED", "STATED", "Statement", "read_statement"]
