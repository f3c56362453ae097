"""`python -m keras_shiftmlp` runs `keras-shiftmlp`."""

from keras_shiftmlp.cli import main

if __name__ == "__main__":
    main()
