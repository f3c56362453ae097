"""Extension of griffe, which reads the docstrings for the site: doctests become code blocks."""

import re

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n.*\S.*)*", re.M)


class Doctests(griffe.Extension):
    """Fences each paragraph that starts with `>>>`."""

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        """Changes the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
