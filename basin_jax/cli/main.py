"""The command line: `basin-jax COMMAND`.

Commands import JAX when they need it, so that `--help` is fast. A user's mistake ends in one line
that names the thing and what is allowed, and in exit code 2. A run that a signal stopped ends in
128 + the signal's number, and can be resumed.
"""

import io
import os
import shlex
import signal
import sys
from typing import Annotated, NoReturn

import typer

from basin_jax import __version__
from basin_jax.cli.bench import bench
from basin_jax.cli.forecast import forecast
from basin_jax.cli.known import known
from basin_jax.cli.plan import plan
from basin_jax.cli.plugins import list_, new
from basin_jax.cli.runs import runs
from basin_jax.cli.studies import studies, study
from basin_jax.cli.sweeps import recheck, replay, report, run, status, verify, watch
from basin_jax.interrupts import PARENT, GaveUp, Stop, end, interruptible, stop_with_parent


app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Measure the fraction of random seeds whose training falls into a deceptive basin.",
)


FILES = 2**16  # that are closed before the command begins anew
# The commands that train, and go on where they were stopped.
TRAINING = ("run", "known", "study", "studies")


def _show_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"basin-jax {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options of no command."""


def _begin_anew(given_up: GaveUp, parent: str | None) -> NoReturn:
    """Begin the command anew in this process, for the same parent."""
    typer.echo(f"basin-jax: {given_up}: starting it", err=True)
    sys.stdout.flush()
    if parent is not None:
        os.environ[PARENT] = parent
    os.closerange(3, FILES)  # such as those of a device that is held
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _stopped(signum: int) -> int:
    """Say how to go on, and return the exit code."""
    said = f"interrupted by {signal.Signals(signum).name}"
    if sys.argv[1:2] and sys.argv[1] in TRAINING:
        again = shlex.join(sys.argv[1:])
        # A search commits whole replications.
        searches = any(word.partition("=")[0] == "--rare" for word in sys.argv)
        kept = (
            "what had ended of replications and their levels is"
            if searches
            else "what was trained is"
        )
        said += f": {kept} committed. Go on with:\n  basin-jax {again}"
    typer.echo(said, err=True)
    return 128 + signum


for command in (
    plan,
    forecast,
    run,
    status,
    runs,
    report,
    watch,
    replay,
    recheck,
    verify,
    known,
    study,
    studies,
    bench,
    list_,
    new,
):
    app.command(command.__name__.rstrip("_"))(command)


def fail(message: str) -> NoReturn:
    """Print a one-line error, and exit with code 2."""
    typer.echo(f"basin-jax: {message}", err=True)
    end(2)


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal or a pipe of another encoding cannot show costs no table.
        sys.stdout.reconfigure(errors="replace")
    parent = os.environ.get(PARENT)
    stop = Stop()
    try:
        with interruptible() as stop:
            stop_with_parent()
            try:
                words = sys.argv[1:] or ["--help"]
                code = app(words, prog_name="basin-jax", standalone_mode=False)
                stop.expect_none()  # which Typer takes for a keyboard's interrupt
                end(code)
            except GaveUp as given_up:
                _begin_anew(given_up, parent)
    except (KeyboardInterrupt, typer.Abort):
        end(_stopped(stop.signum or signal.SIGINT))
    except typer.TyperException as error:
        fail(error.format_message().replace("\n", " "))
    except Exception as error:
        if stop.raised:  # and became this error on its way
            end(_stopped(stop.signum or signal.SIGINT))
        if not isinstance(error, ValueError | OSError):
            raise
        fail(" ".join(str(error).split()))
