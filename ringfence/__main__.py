"""``ringfence``: the command line. Turns every known error into one sentence, a hint and an exit code."""

from __future__ import annotations

import io
import sys

from cyclopts import CycloptsError
from rich.console import Console

from bedrock.errors import InputError, RingfenceError
from bedrock.exit_codes import ExitCode
from ringfence.cli.app import app


def main() -> None:
    """Entry point of the ``ringfence`` script."""
    print_on_any_terminal()
    sys.exit(run_command(sys.argv[1:]))


def print_on_any_terminal() -> None:
    """Prints a question mark for what the terminal's encoding lacks: a verdict must not hang on how it is shown."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def run_command(arguments: list[str]) -> int:
    """Runs one command and returns its exit code. Never raises what a user should not see."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        returned = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
        return int(returned or 0)
    except CycloptsError:
        return ExitCode.USAGE
    except InputError as error:
        errors.print(f"[bold red]{error.message}:[/]")
        for problem in error.problems:
            errors.print(f"  {problem}", markup=False)
        return error.exit_code
    except RingfenceError as error:
        errors.print("[bold red]error:[/]", end=" ")
        errors.print(error.message, markup=False)
        if error.hint:
            errors.print(f"  {error.hint}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("[yellow]interrupted[/]")
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    main()
