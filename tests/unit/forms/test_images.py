"""Badge images name their achievement legibly, in the programme's colours; baking is done once and exactly."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from defusedxml import ElementTree
from PIL import Image
from support import complete

from credstream.rules.loader import CatalogueError, load
from schemas.catalogue import Catalogue
from services.forms.badge_image import badge_svg, emblem_svg, png
from services.forms.baking import bake_png, bake_svg
from services.forms.colours import palette
from services.forms.lettering import face
from services.forms.markdown import blocks


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return complete.catalogue(tmp_path_factory.mktemp("complete"))


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#ffd400", "#7a1f3d", "#0f4c5c", "#808080", "#00ff00"])
def test_every_colour_gives_text_that_can_be_read(colour: str) -> None:
    colours = palette(colour)
    assert contrast(colours.on_base, colours.base) >= 4.5
    assert contrast(colours.dark, colours.pale) >= 4.5


def test_an_image_says_what_it_shows_in_its_language(catalogue: Catalogue) -> None:
    achievement = catalogue.achievement("patient-transfer")
    assert achievement is not None
    root = ElementTree.fromstring(badge_svg(catalogue, achievement, "fr"))
    assert root[0].text == "Transfert de patients"
    assert "text" not in {
        element.tag.rpartition("}")[2] for element in root.iter()
    }  # outlines: no viewer needs the font
    assert badge_svg(catalogue, achievement, "fr") != badge_svg(catalogue, achievement, "en")
    assert badge_svg(catalogue, achievement, "de") == badge_svg(catalogue, achievement, "en")


@pytest.mark.parametrize(
    "name",
    ["A", "Ω", "x" * 200, "Construction of " * 12, "<script>&\"'", "Prévention des blessures", "\u202e\U0001f600"],
)
def test_any_name_is_drawn_within_the_seal(catalogue: Catalogue, name: str) -> None:
    achievement = msgspec.structs.replace(catalogue.achievements[0], name=name)
    drawn = badge_svg(catalogue, achievement, "en")
    ElementTree.fromstring(drawn)
    image = Image.open(io.BytesIO(png(drawn, 120))).convert("RGB")
    assert image.size == (120, 120)
    ring = tuple(int(palette(catalogue.issuer.colour).base[i : i + 2], 16) for i in (1, 3, 5))
    assert image.getpixel((60, 110)) == ring or image.getpixel((14, 75)) == ring


def test_a_title_stays_in_its_room() -> None:
    font = face("Bold")
    lines = font.wrapped("Safe patient transfer and injury prevention", 40, [300, 340, 300])
    assert lines is not None
    assert all(font.width(line, 40) <= 340 for line in lines)
    assert font.wrapped("Incomprehensibilities", 60, [100]) is None
    cut, size = font.fitted("W" * 100, (20, 10), 200)
    assert (size, cut[-1], font.width(cut, size) <= 200) == (10, "…", True)


def test_an_image_takes_one_badge(catalogue: Catalogue) -> None:
    drawn = emblem_svg(catalogue)
    with pytest.raises(ValueError, match="already"):
        bake_png(bake_png(png(drawn, 32), b"{}"), b"{}")
    with pytest.raises(ValueError, match="no PNG"):
        bake_png(b"GIF89a", b"{}")
    with pytest.raises(ValueError, match="without a badge"):
        bake_svg(bake_svg(drawn, b"{}").decode(), b"{}")


def test_the_end_of_a_cdata_section_inside_a_credential_is_escaped(catalogue: Catalogue) -> None:
    document = {"name": "a ]]> b"}
    root: Any = ElementTree.fromstring(bake_svg(emblem_svg(catalogue), json.dumps(document).encode()))
    assert json.loads(root[0].text) == document


def test_markdown_becomes_structure_and_html_stays_text() -> None:
    found = blocks("**Score** 80 %\nand *more*.\n\n- one\n- two\n\n<b>x</b>")
    assert [block["kind"] for block in found] == ["paragraph", "item", "item", "paragraph"]
    assert found[0]["runs"][0] == {"text": "Score", "strong": True}
    assert found[3]["runs"] == [{"text": "<b>x</b>"}]


def test_the_folder_of_the_catalogue_is_not_left(tmp_path: Path) -> None:
    text = complete.ACHIEVEMENTS.replace("endorsements/hospital.json", "../secret.json")
    folder = complete.write_folder(tmp_path)
    (folder / "achievements" / "all.yaml").write_text(text, "utf-8")
    with pytest.raises(CatalogueError, match="outside"):
        load(folder)
