"""The picture book's vocabulary: what it can draw, and the words people use for it."""

from __future__ import annotations

from dataclasses import dataclass

# character icon-name : noun [| synonym ...] [/ traits]. The character names the 3D artwork, the icon
# the flat one. "flips": its mirror image is as good; "keeps": it is never repainted, because that
# would hide what it is. New nouns go to the end: runs that continue find the old ones in place.
_TABLE = """
🐱 cat-face: cat | kitten | kitty / flips
🐶 dog-face: dog | puppy / flips keeps
🦊 fox: fox / flips keeps
🦁 lion: lion / flips keeps
🐼 panda: panda | panda bear / flips keeps
🐨 koala: koala / flips keeps
🐰 rabbit-face: rabbit | bunny / flips
🐷 pig-face: pig | piggy / flips
🐸 frog: frog / flips keeps
🐧 penguin: penguin / flips keeps
🦉 owl: owl / flips keeps
🐘 elephant: elephant / keeps
🐥 front-facing-baby-chick: chick | baby chick / flips
🐳 spouting-whale: whale
🐟 fish: fish
🐙 octopus: octopus
🐢 turtle: turtle | tortoise
🐞 lady-beetle: ladybug | ladybird / flips
🦕 sauropod: dinosaur | dino
🌹 rose: rose
🌻 sunflower: sunflower / keeps
🌸 cherry-blossom: flower | blossom / flips
🌳 deciduous-tree: tree / flips
🌴 palm-tree: palm tree | palm
🌵 cactus: cactus
🍄 mushroom: mushroom | toadstool / flips
🍎 red-apple: apple / flips
🍐 pear: pear / flips
🍋 lemon: lemon
🍌 banana: banana
🍓 strawberry: strawberry
🍒 cherries: cherries | pair of cherries / keeps
🍉 watermelon: watermelon | slice of watermelon / keeps
🥕 carrot: carrot / keeps
🍔 hamburger: burger | hamburger / keeps
🍕 pizza: pizza | slice of pizza / keeps
🍦 soft-ice-cream: ice cream | ice cream cone / keeps
🍩 doughnut: donut | doughnut / flips
🧁 cupcake: cupcake | muffin / flips
🎂 birthday-cake: cake | birthday cake / flips keeps
☕ hot-beverage: cup of coffee | coffee
🚗 automobile: car | automobile
🚌 bus: bus
⛵ sailboat: sailboat | boat
✈ airplane: airplane | plane
🚀 rocket: rocket | spaceship
🛸 flying-saucer: ufo | flying saucer
🏠 house: house | home
🏰 castle: castle / flips keeps
🌙 crescent-moon: moon | crescent moon
☀ sun: sun / flips
⭐ star: star / flips
☁ cloud: cloud / flips
🌈 rainbow: rainbow / keeps
☂ umbrella: umbrella / flips
⛄ snowman: snowman / flips keeps
🎈 balloon: balloon
🎁 wrapped-gift: gift | present / flips
🎃 jack-o-lantern: pumpkin | jack o lantern / flips
🫖 teapot: teapot
👑 crown: crown / flips
🔑 key: key
🤖 robot: robot / flips keeps
👻 ghost: ghost / flips keeps
❤ red-heart: heart / flips
🐻 bear: bear / flips keeps
🐯 tiger-face: tiger / flips keeps
🐵 monkey-face: monkey / flips keeps
🦄 unicorn: unicorn / keeps
🦆 duck: duck / keeps
🦋 butterfly: butterfly / flips keeps
🐝 honeybee: bee | honeybee / keeps
🦀 crab: crab / flips
🌷 tulip: tulip
🍍 pineapple: pineapple / keeps
🥑 avocado: avocado / keeps
🍪 cookie: cookie | biscuit / keeps
🎸 guitar: guitar / keeps
🏆 trophy: trophy | cup / flips keeps
💎 gem-stone: diamond | gem / flips
"""
_ODD_PLURALS = {"fish": "fish", "cherries": "cherries", "dino": "dinos", "pizza": "pizzas"}


@dataclass(frozen=True)
class Noun:
    """One thing the model can draw: its canonical word, its artwork and its synonyms."""

    word: str
    icon: str
    character: str
    synonyms: tuple[str, ...]
    flips: bool
    keeps_colours: bool


def all_nouns() -> list[Noun]:
    """Every noun of the picture book, in a fixed order."""
    nouns = []
    for line in _TABLE.strip().splitlines():
        artwork, _, rest = line.partition(":")
        character, _, icon = artwork.partition(" ")
        words, _, traits = rest.partition("/")
        word, *synonyms = (part.strip() for part in words.split("|"))
        flips, keeps = ("flips" in traits), ("keeps" in traits)
        nouns.append(Noun(word, icon.strip(), character, tuple(synonyms), flips, keeps))
    return nouns


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" in front, or as it is where it is a plural."""
    if phrase.split()[-1] == "cherries" and "pair" not in phrase:
        return phrase
    # "ufo" and "unicorn" are spoken with a leading consonant
    vowel = phrase[0] in "aeiou" and not phrase.startswith(("ufo", "uni"))
    return ("an " if vowel else "a ") + phrase


def plural(phrase: str) -> str:
    """More than one of it: "cups of coffee", "butterflies", "palm trees"."""
    if " of " in phrase:
        head, _, rest = phrase.partition(" of ")
        return f"{plural(head)} of {rest}"
    *front, last = phrase.split()
    if last in _ODD_PLURALS:
        last = _ODD_PLURALS[last]
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return " ".join([*front, last])
