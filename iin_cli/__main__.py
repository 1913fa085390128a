"""`python -m iin_cli` and the console script `iin`: heed signals first, then import the command line."""

from .stopping import listen

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit, see `cli.main`."""
    listen()
    from .cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
