"""What a measurement hands back: one row a number, with the alternative measured beside it and the aim it is held to."""
import operator
import re
import statistics

_COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}


class Missing(Exception):
    """The measurement cannot be made here; the text says what is missing. It counts as a failed run, not as an aim missed."""


def row(name, value, unit, alternative, alternative_value, aim=None, detail=""):
    """`aim`: "ratio <= 1.0", "value < 0.5", or None for a number that is only told. The ratio is value / alternative_value."""
    ratio = value / alternative_value
    return {"name": name, "value": value, "unit": unit, "alternative": alternative, "alternative_value": alternative_value,
            "ratio": ratio, "aim": aim, "met": met(aim, value, ratio), "detail": detail}


def met(aim, value, ratio):
    if aim is None:
        return None
    what, compare, limit = re.fullmatch(r"(value|ratio) (<=|<|>=|>) ([0-9.]+)", aim).groups()
    return _COMPARE[compare](value if what == "value" else ratio, float(limit))


def median(values):
    return statistics.median(values)


def spread(values, digits=3):
    return f"{len(values)} runs, {min(values):.{digits}f} to {max(values):.{digits}f}"


def table(rows):
    """The rows as text, one line each and the spread below."""
    cells = [("name", "value", "alternative", "ratio", "aim", "")]
    for one in rows:
        verdict = {True: "met", False: "MISSED", None: ""}[one["met"]]
        cells.append((one["name"], f"{number(one['value'])} {one['unit']}", f"{number(one['alternative_value'])} {one['unit']}: {one['alternative']}",
                      f"{one['ratio']:.2f}x", one["aim"] or "-", verdict))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for index, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if index and rows[index - 1]["detail"]:
            lines.append("    " + rows[index - 1]["detail"])
    return "\n".join(lines)


def number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"
