"""Runs the command line. Turns every known error into one sentence, a hint and an exit code."""

from __future__ import annotations

import sys

from bedrock import crash
from bedrock.terminal_stream import tolerate_closed_output


def main() -> None:
    """Entry point of the ``ringfence`` script."""
    tolerate_closed_output()
    with crash.reporting("ringfence"):
        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    sys.exit(code)


def run_command(arguments: list[str]) -> int:
    """Runs one command and returns its exit code. Raises no exception that a user would have to read."""
    from cyclopts import CycloptsError
    from rich.console import Console

    from bedrock.environment_input import check_environment
    from bedrock.errors import InputError, RingfenceError
    from bedrock.exit_codes import ExitCode
    from ringfence.cli.app import app

    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    crash.set_run_folder(None)
    try:
        check_environment()
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
    except Exception as error:
        crash.report("ringfence", error)
        return ExitCode.CRASHED
    finally:
        crash.set_run_folder(None)


if __name__ == "__main__":
    main()
