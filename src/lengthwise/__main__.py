"""``python -m lengthwise``."""

from lengthwise.interfaces.cli.main import run

if __name__ == "__main__":
    run()
