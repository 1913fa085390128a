"""`python -m iin_cli`: the same as the console script `iin`."""

from .cli import main

if __name__ == "__main__":
    main()
