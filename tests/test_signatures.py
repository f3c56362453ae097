"""The arguments of public names and their defaults, which users' programs rely on.

`python tests/test_signatures.py` (in `make generate`) writes them, so that a change is seen in the
difference of a file.
"""

import inspect
import json
from pathlib import Path

from cases import once

import keras_shiftmlp
from keras_shiftmlp import export, layers, prediction, publishing, training, visualization

FILE = Path(__file__).parent / "public_defaults.json"
ROOMS = (keras_shiftmlp, layers, training, visualization, export, prediction, publishing)


def defaults():
    """`{"layers.SpatialShift": {"setting": "'a'", ...}, ...}` without the constructors.

    The stubs have the defaults of the constructors.
    """
    found = {}
    for room in ROOMS:
        own = [name for name, value in vars(room).items() if is_of(room, value)]
        for name in getattr(room, "__all__", own):
            value = getattr(room, name)
            value = value.__init__ if inspect.isclass(value) else value
            if inspect.isfunction(value):
                place = f"{room.__name__}.{name}".removeprefix("keras_shiftmlp.")
                arguments = inspect.signature(value).parameters.values()
                found[place] = {
                    argument.name: None if argument.default is argument.empty
                    else repr(argument.default)
                    for argument in arguments
                    if argument.name != "self"
                }  # fmt: skip
    return dict(sorted(found.items()))


def is_of(room, value):
    return inspect.isfunction(value) and value.__module__ == room.__name__


@once
def test_arguments_and_defaults_are_those_on_record():
    assert defaults() == json.loads(FILE.read_text("utf-8"))


if __name__ == "__main__":
    FILE.write_text(json.dumps(defaults(), indent=1) + "\n", "utf-8")
