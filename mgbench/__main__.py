"""`python -m mgbench` is `mgbench`."""

from mgbench.cli import main

if __name__ == "__main__":
    main()
