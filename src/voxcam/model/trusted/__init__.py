"""Models whose code may run, because a person said so of its SHA-256: tried in a child process first."""

from voxcam.model.trusted.trusting import Code, can_be_trusted, code_digest, code_of, trusted_parts

__all__ = ["Code", "can_be_trusted", "code_digest", "code_of", "trusted_parts"]
