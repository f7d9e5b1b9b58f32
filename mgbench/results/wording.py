"""Numbers in sentences: counts with their nouns, and bytes with their units."""

UNITS = ("kB", "MB", "GB", "TB")


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1: 1 row, 2 rows."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def amount(count: float) -> str:
    """A number of bytes: 512 bytes, 20.1 kB, 3.46 GB."""
    if count < 1000:
        return counted(round(count), "byte")
    thousands = next((power for power in range(1, len(UNITS)) if count < 999.5 * 1000**power), len(UNITS))
    return f"{count / 1000**thousands:.3g} {UNITS[thousands - 1]}"
