"""Names of models as users write them."""

import difflib
from collections.abc import Iterable


def plain_name(name: str) -> str:
    """A model's name as it is compared: without case and separators."""
    return "".join(character for character in name.lower() if character.isalnum())


def match_name(
    name: str, known: Iterable[str], listed_by: str = "`keras_shiftmlp.list_models()`"
) -> str:
    """The one of the `known` names that `name` stands for; case and separators are ignored.

    Args:
        name: As the user wrote it.
        known: All names.
        listed_by: What shows them all, for the error.

    Raises:
        ValueError: If there is none, with the nearest ones.

    Example:

    >>> match_name("mixer-b16", ["MixerB16", "MixerB32"])
    'MixerB16'
    """
    names = {plain_name(key): key for key in known}
    wanted = plain_name(str(name))
    if wanted not in names:
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        hint = f"; the nearest are {', '.join(names[key] for key in near)}" if near else ""
        raise ValueError(f"No such model{hint}. {listed_by} lists them. Received: `name={name!r}`")
    return names[wanted]
