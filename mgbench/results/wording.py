"""Values in sentences and tables: counts with their nouns, bytes and times with their units, lists, and what is missing."""

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


def duration(seconds: float) -> str:
    """A time in readable units: 40 s, 12 min, 3 h 20 min, 40 days."""
    minutes, days = round(seconds / 60), round(seconds / 86400)
    if seconds < 100:
        return f"{round(seconds)} s"
    if days > 4:
        return f"{days:,} days"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def shown(value: object) -> str:
    """A value in a table: a list with commas, "–" for None."""
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
