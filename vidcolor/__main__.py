"""The command's entry: `vidcolor`, and `python -m vidcolor`.

It imports next to nothing, so that Ctrl-C ends the command quietly from its first moment on.
"""


def main() -> None:
    """Run the command in sys.argv and exit with its code."""
    try:
        from vidcolor.cli import main as run

        run()
    except KeyboardInterrupt:
        import signal

        # Nothing was begun: end as Ctrl-C ends any program, which a shell reports as 130.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
