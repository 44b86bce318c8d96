"""What can be seen by whoever sees little, and what is said where a package is missing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from durable_async.dashboard._templating import STATIC

CSS = (STATIC / "dashboard.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
)
SCHEMES = {"light": (LIGHT, 0.10), "dark": ({**LIGHT, **DARK}, 0.14)}
TONES = ("pending", "running", "suspended", "completed", "failed", "terminated")
Colour = tuple[float, float, float]


def colour(text: str) -> Colour:
    red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """Return the ratio of WCAG."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(given: Colour) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in given]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", ["ink", "soft", "accent", *TONES])
@pytest.mark.parametrize("ground", ["paper", "card", "sunk"])
def test_text_stands_out(scheme: str, text: str, ground: str) -> None:
    """4.5 to 1, as people with weak eyes need it; on the wash behind a status as well."""
    colours, wash = SCHEMES[scheme]
    over, under = colour(colours[text]), colour(colours[ground])
    assert contrast(over, under) >= 4.5
    if text in TONES and ground != "sunk":
        assert contrast(over, mixed(over, under, wash)) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_buttons_stand_out(scheme: str) -> None:
    colours, _ = SCHEMES[scheme]
    assert contrast(colour(colours["accent-ink"]), colour(colours["accent"])) >= 4.5
    assert contrast(colour(colours["card"]), colour(colours["failed"])) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", ["paper", "card"])
def test_where_to_type_is_seen(scheme: str, ground: str) -> None:
    """3 to 1, as what is no text needs it."""
    colours, _ = SCHEMES[scheme]
    assert contrast(colour(colours["edge"]), colour(colours[ground])) >= 3


@pytest.mark.parametrize("package", ["jinja2", "starlette"])
def test_a_package_that_is_missing_is_named(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import durable_async.dashboard"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in done.stderr
    assert "durable-async[dashboard]" in done.stderr
