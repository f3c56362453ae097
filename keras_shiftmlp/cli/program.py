"""The program: options of all commands, errors and exit codes."""

import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter, ValidationError

from keras_shiftmlp import __version__
from keras_shiftmlp.cli.output import UsageError, log_lines, without_messages
from keras_shiftmlp.programs import keep_compiled_programs
from keras_shiftmlp.registration import on_import

PROGRAM = "keras-shiftmlp"
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")
Backend = Literal["tensorflow", "jax", "torch", "numpy", "openvino"]

app = App(
    name=PROGRAM,
    version=f"{PROGRAM} {__version__}",
    help="Vision MLPs: look them up, use them, train them, publish them.",
    help_epilogue=f"`{PROGRAM} COMMAND --help` explains a command.",
    help_format="plaintext",
    default_parameter=Parameter(negative=(), consume_multiple=True),
    result_action="return_value",
    print_error=False,
    exit_on_error=False,
)
# In the order of `--help`.
LOOK_UP, USE, EXCHANGE, SET_UP = map(
    Group.create_ordered, ("Look up", "Use", "Exchange files", "Set up")
)
app.meta.group_parameters = Group.create_ordered("Options of all commands")
app["--help"].group = app["--version"].group = SET_UP


def command(name: str, example: str, group: Group) -> Callable[[Callable[..., None]], Any]:
    """Adds a function as a command.

    Args:
        name: Of the command.
        example: A call of the command, shown by `--help`, without the program's name.
        group: Where the program's `--help` shows it.
    """
    return app.command(name=name, group=group, help_epilogue=f"Example: {PROGRAM} {name} {example}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `keras-shiftmlp`.

    Args:
        arguments: Those of the command line by default.

    Raises:
        SystemExit: With 2 for a wrong call, with 1 for a failed command, with 130 after Ctrl-C.
    """
    try:
        # Ctrl-C ends it with 130.
        app.meta(None if arguments is None else list(arguments))
        sys.stdout.flush()
    except ValidationError as error:  # raised by a check of ours, which says what to do
        _stop(str(error), 2)
    except CycloptsError as error:
        help_of = " ".join([PROGRAM, *(error.command_chain or ())])
        _stop(f"{error} `{help_of} --help` shows what it takes.", 2)
    except BrokenPipeError:
        # The reader has what it wants, as in `keras-shiftmlp list | head`. At its end Python would
        # flush the rest to the closed pipe, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    backend: Backend | None = None,
    quiet: bool = False,
    debug: bool = False,
) -> None:
    """Runs one command.

    Args:
        tokens: The command and its arguments.
        backend: Backend of Keras; by default that of KERAS_BACKEND or of Keras's own settings.
        quiet: Show results and errors only: no progress bars, no warnings.
        debug: Show the traceback of an error.
    """
    if not debug:
        # TensorFlow tells on each start what its build can do.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        on_import("tensorflow", without_messages)
    keep_compiled_programs()
    with log_lines(logging.ERROR if quiet else logging.INFO):
        try:
            if backend is not None:
                _choose(backend)
            app(tokens)
        except (CycloptsError, BrokenPipeError):
            raise
        except UsageError as error:
            _stop(str(error), 2)
        except Exception as error:
            if debug:
                raise
            _stop(_explained(error), 1)


def _choose(backend):
    if importlib.util.find_spec(backend) is None:
        raise UsageError(f"{backend} is not installed: pip install 'keras_shiftmlp[{backend}]'")
    os.environ["KERAS_BACKEND"] = backend


def _explained(error):
    """What a user needs to know of an error."""
    if isinstance(error, ModuleNotFoundError) and error.name in BACKENDS:
        return (
            f"Keras runs on {error.name}, which is not installed: pip install "
            f"'keras_shiftmlp[{error.name}]', or choose another with --backend"
        )
    is_ours = type(error).__module__.startswith("keras_shiftmlp")
    if is_ours or isinstance(error, (ValueError, OSError, FloatingPointError)):
        return str(error)
    # An error of the library names the package to install; any other import is a fault.
    if isinstance(error, ImportError) and "pip install" in str(error):
        return str(error)
    return f"{type(error).__name__}: {error}. This is unexpected; --debug shows where it happened."


def _stop(message: str, status: int) -> NoReturn:
    with contextlib.suppress(BrokenPipeError):
        print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(status)


@command("completion", example="bash >> ~/.bashrc", group=SET_UP)
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script that completes commands and options in a shell.

    Args:
        shell: The shell that reads the script.
    """
    print(app.generate_completion(shell=shell))
