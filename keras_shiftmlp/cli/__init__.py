"""`keras-shiftmlp`, one file per group of commands. No command imports Keras before it needs it."""

from keras_shiftmlp.cli import (
    bench,
    exporting,
    plotting,
    predicting,
    publishing,
    tables,
    training,
)
from keras_shiftmlp.cli.program import main

# Each of these adds its commands to the program when it is imported.
COMMANDS = (tables, predicting, plotting, training, bench, exporting, publishing)

__all__ = ["COMMANDS", "main"]
