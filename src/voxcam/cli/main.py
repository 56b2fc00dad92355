"""The door: every command, its exit code, and errors as one line."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

import voxcam
from voxcam.cli import demo, explain, export, model, review, scan
from voxcam.errors import Cancelled, VoxcamError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# 2, wrong usage, is the parser's own.
OK, EXPECTED, BUG, INTERRUPTED = 0, 1, 3, 130

app = typer.Typer(
    name="voxcam",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 well, 1 expected error, 2 usage, 3 bug (with a traceback), 130 interrupted.
    """
    try:
        app(list(sys.argv[1:] if arguments is None else arguments), prog_name="voxcam")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else OK
    return OK


def entry() -> None:
    """Run as the console script."""
    code = main()
    sys.stdout.flush()
    sys.exit(code)


def coded(command: Callable[..., int]) -> Callable[..., None]:
    """Turn what a command returns or raises into its exit code; an expected error is one line."""

    @functools.wraps(command)
    def run(*args: object, **kwargs: object) -> None:
        raise typer.Exit(_code(lambda: command(*args, **kwargs)))

    return run


def _code(command: Callable[[], int]) -> int:
    try:
        return command()
    except VoxcamError as error:
        typer.echo(f"voxcam: {' '.join(str(error).split())}", err=True)
        return EXPECTED
    except (KeyboardInterrupt, Cancelled):
        typer.echo("voxcam: interrupted, nothing was written", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away: say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception:
        traceback.print_exc()
        typer.echo("voxcam: this is a bug, please report it with the lines above", err=True)
        return BUG


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxcam {voxcam.__version__} - research use only, not for diagnosis")
        raise typer.Exit(OK)


@app.callback()
def _door(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Show where a classifier looked: class activation maps over DICOM and NIfTI. Research use only."""


COMMANDS: dict[str, Callable[..., int]] = {
    "demo": demo.demo,
    "scan": scan.scan,
    "explain": explain.explain,
    "review": review.review,
    "export": export.export,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(coded(_command))
_models = typer.Typer(
    cls=model.ModelGroup,
    no_args_is_help=True,
    help="Say what a model is: voxcam model MODEL. Also: convert, state, speed.",
)
for _name, _command in model.COMMANDS.items():
    _models.command(_name)(coded(_command))
app.add_typer(_models, name="model")
