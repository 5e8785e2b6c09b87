"""Scenes, captions, colours and pictures: what the training data promises."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.captions import CaptionWriter, plain_caption, tells_background
from training.compose import Composer, to_pictures, to_tensor
from training.metrics import background_name, object_colour
from training.nouns import all_nouns, plural, with_article
from training.palette import BACKGROUNDS, OBJECT_COLOURS, SCENERY, STYLES
from training.scenes import Scene, SceneSampler, Thing, held_out, held_out_pair
from training.sprites import ARTWORKS, SpriteBook, dominant_paint, repaint, squared

NATURAL = {"apple": "red", "car": "red", "heart": "red", "whale": "blue", "cat": "orange"}
NOUNS = [*NATURAL, "panda"]


def disc(colour: tuple[int, int, int]) -> Image.Image:
    sprite = Image.new("RGBA", (32, 32))
    for x in range(32):
        for y in range(32):
            if (x - 16) ** 2 + (y - 16) ** 2 < 200:
                sprite.putpixel((x, y), (*colour, 255))
    return sprite


def book() -> SpriteBook:
    discs = {"cat": disc((240, 150, 40)), "panda": disc((20, 20, 20))}
    return SpriteBook({(noun, None, artwork): one for noun, one in discs.items() for artwork in ARTWORKS}, {}, ["cat", "panda"])


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_held_out_pairs_are_never_drawn(seed: int) -> None:
    scene = SceneSampler(NOUNS, NATURAL, two_objects=0.5, repainted=0.9).draw(random.Random(seed))
    first, last = scene.things[0].noun, scene.things[-1].noun
    assert not held_out_pair(first, last)
    for thing in scene.things:
        if thing.colour and thing.colour != NATURAL[thing.noun]:
            assert not held_out(thing.noun, thing.colour)


def test_held_out_pairs_are_listed_and_repaintable() -> None:
    pairs = SceneSampler(NOUNS, NATURAL).held_out_pairs()
    assert pairs and all(held_out(t.noun, t.colour) and t.noun in NATURAL for t in pairs)
    assert all(t.colour != NATURAL[t.noun] for t in pairs)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_captions_name_everything_they_promise(seed: int) -> None:
    rng = random.Random(seed)
    nouns = {noun.word: noun for noun in all_nouns()}
    scene = SceneSampler(NOUNS, NATURAL, two_objects=0.5, repainted=0.5).draw(rng)
    caption = CaptionWriter(all_nouns()).write(scene, rng)
    for thing in scene.things:
        words = (thing.noun, *nouns[thing.noun].synonyms)
        assert any(word in caption or plural(word) in caption for word in words)
    for thing in scene.things:
        assert thing.colour is None or thing.colour in caption or "violet" in caption
    assert " a orange" not in caption
    assert tells_background(scene, caption) or scene.background in BACKGROUNDS
    if scene.style != STYLES[0]:
        assert scene.style in caption
    assert ("two " in caption or "2 " in caption or "pair of" in caption) or not scene.twins


def test_background_is_recognised_only_where_it_is_told() -> None:
    scene = Scene((Thing("cat"),), "sky blue")
    assert tells_background(scene, "a cat on a light blue background")
    assert not tells_background(scene, "a blue cat")


def test_articles() -> None:
    assert [with_article(p) for p in ("owl", "ufo", "cherries", "pair of cherries")] == [
        "an owl",
        "a ufo",
        "cherries",
        "a pair of cherries",
    ]
    assert plain_caption(Thing("cat"), "orange") == "a cat on an orange background"


def test_plurals() -> None:
    assert [plural(p) for p in ("cat", "butterfly", "bus", "cup of coffee", "palm tree", "fish", "monkey", "cherries")] == [
        "cats",
        "butterflies",
        "buses",
        "cups of coffee",
        "palm trees",
        "fish",
        "monkeys",
        "cherries",
    ]


def test_a_brief_caption_says_something_true_of_the_scene() -> None:
    scene = Scene((Thing("cat", "blue"),), "night", "pixel")
    said = {CaptionWriter(all_nouns()).brief(scene, random.Random(seed)) for seed in range(200)}
    assert {"cat", "blue"} <= said
    assert not any("red" in words or "3d" in words or "flat" in words for words in said)


def test_nouns_are_distinct() -> None:
    words = [word for noun in all_nouns() for word in (noun.word, *noun.synonyms)]
    assert len(words) == len(set(words))


def test_repainting_changes_the_object_and_nothing_else() -> None:
    sprite = disc((220, 40, 40))
    paint = dominant_paint(sprite)
    assert paint is not None and paint.name == "red"
    for colour in OBJECT_COLOURS:
        canvas = Image.new("RGB", (32, 32), "white")
        painted = repaint(sprite, paint, colour)
        canvas.paste(painted, (0, 0), painted)
        assert object_colour(canvas) == colour


def test_a_sprite_without_colour_is_not_repainted() -> None:
    assert dominant_paint(disc((120, 120, 120))) is None


def test_backgrounds_are_measured_as_composed() -> None:
    composer, rng = Composer(book(), 64), random.Random(1)
    scenes = [Scene((Thing("cat"),), name, style) for name in (*BACKGROUNDS, *SCENERY) for style in STYLES]
    names = [(scene.background, composer.picture(scene, rng)) for scene in scenes for _ in range(2)]
    right = sum(background_name(picture) == name for name, picture in names)
    assert right >= 0.9 * len(names)


def test_tensors_and_pictures_are_inverse() -> None:
    picture = Composer(book(), 16).picture(Scene((Thing("cat"), Thing("panda")), "teal"), random.Random(0))
    assert to_pictures(to_tensor([picture]))[0].tobytes() == picture.tobytes()


def test_pixel_art_is_made_of_squares_of_few_colours() -> None:
    picture = Composer(book(), 128).picture(Scene((Thing("cat"),), "white", "pixel"), random.Random(0))
    small = picture.resize((32, 32), Image.Resampling.NEAREST)
    assert small.resize((128, 128), Image.Resampling.NEAREST).tobytes() == picture.tobytes()
    assert len(small.getcolors(1024) or range(99)) < 40


def test_a_squared_sprite_keeps_its_shape_and_a_margin() -> None:
    wide = Image.new("RGBA", (90, 40))
    wide.paste((200, 0, 0, 255), (20, 10, 80, 30))
    sprite = squared(wide, 100)
    left, top, right, bottom = sprite.getchannel("A").getbbox()
    assert (right - left, bottom - top) == (92, 31) and left == 4
