"""What the model can draw: the objects, the grounds, the numbers, and their English.

An object is one emoji.  Its plural stands here and is not formed by rule, and its
synonyms are taken from the keywords that Unicode CLDR gives that emoji
(`check_against_cldr` verifies both the emoji and every synonym).
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Object:
    name: str
    plural: str
    emoji: str
    synonyms: tuple = ()  # pairs of (singular, plural)


OBJECTS = (
    # animals
    Object("cat", "cats", "🐱"),
    Object("dog", "dogs", "🐶"),
    Object("rabbit", "rabbits", "🐰", (("bunny", "bunnies"),)),
    Object("bear", "bears", "🐻"),
    Object("panda", "pandas", "🐼"),
    Object("tiger", "tigers", "🐯"),
    Object("lion", "lions", "🦁"),
    Object("cow", "cows", "🐮"),
    Object("pig", "pigs", "🐷"),
    Object("frog", "frogs", "🐸"),
    Object("monkey", "monkeys", "🐵"),
    Object("fox", "foxes", "🦊"),
    Object("koala", "koalas", "🐨"),
    Object("chick", "chicks", "🐤"),
    Object("penguin", "penguins", "🐧"),
    Object("owl", "owls", "🦉"),
    Object("unicorn", "unicorns", "🦄"),
    Object("bee", "bees", "🐝", (("honeybee", "honeybees"),)),
    Object("ladybug", "ladybugs", "🐞", (("ladybird", "ladybirds"),)),
    Object("butterfly", "butterflies", "🦋"),
    Object("fish", "fish", "🐠"),
    Object("whale", "whales", "🐳"),
    Object("octopus", "octopuses", "🐙"),
    Object("crab", "crabs", "🦀"),
    Object("turtle", "turtles", "🐢", (("tortoise", "tortoises"),)),
    Object("snail", "snails", "🐌"),
    # food
    Object("apple", "apples", "🍎"),
    Object("banana", "bananas", "🍌"),
    Object("strawberry", "strawberries", "🍓"),
    Object("watermelon", "watermelons", "🍉"),
    Object("pineapple", "pineapples", "🍍"),
    Object("lemon", "lemons", "🍋"),
    Object("carrot", "carrots", "🥕"),
    Object("avocado", "avocados", "🥑"),
    Object("pizza", "pizzas", "🍕"),
    Object("hamburger", "hamburgers", "🍔", (("burger", "burgers"),)),
    Object("doughnut", "doughnuts", "🍩", (("donut", "donuts"),)),
    Object("cupcake", "cupcakes", "🧁"),
    Object("cookie", "cookies", "🍪"),
    # plants
    Object("rose", "roses", "🌹"),
    Object("sunflower", "sunflowers", "🌻"),
    Object("cactus", "cacti", "🌵"),
    Object("tree", "trees", "🌳"),
    Object("mushroom", "mushrooms", "🍄", (("toadstool", "toadstools"),)),
    # vehicles
    Object("car", "cars", "🚗", (("automobile", "automobiles"),)),
    Object("bus", "buses", "🚌"),
    Object("bicycle", "bicycles", "🚲", (("bike", "bikes"),)),
    Object("sailboat", "sailboats", "⛵", (("boat", "boats"),)),
    Object("helicopter", "helicopters", "🚁"),
    Object("rocket", "rockets", "🚀"),
    # weather and sky
    Object("sun", "suns", "🌞"),
    Object("moon", "moons", "🌙"),
    Object("star", "stars", "⭐"),
    Object("cloud", "clouds", "☁"),
    Object("rainbow", "rainbows", "🌈"),
    Object("snowman", "snowmen", "⛄"),
    # things
    Object("balloon", "balloons", "🎈"),
    Object("heart", "hearts", "❤"),
    Object("house", "houses", "🏠", (("home", "homes"),)),
    Object("guitar", "guitars", "🎸"),
    Object("crown", "crowns", "👑"),
    Object("gift", "gifts", "🎁", (("present", "presents"),)),
    Object("robot", "robots", "🤖"),
    Object("ghost", "ghosts", "👻"),
)

# The grounds, soft enough that every object stands out on most of them.
COLOURS = {
    "red": (222, 72, 74),
    "orange": (246, 152, 62),
    "yellow": (251, 222, 100),
    "green": (98, 190, 106),
    "teal": (48, 160, 160),
    "blue": (76, 128, 230),
    "purple": (146, 96, 208),
    "pink": (250, 166, 204),
    "brown": (136, 92, 62),
    "grey": (150, 152, 158),
    "black": (28, 28, 34),
    "white": (244, 244, 246),
}

NUMBERS = ("one", "two", "three", "four", "five", "six")

NAMES = tuple(entry.name for entry in OBJECTS)
COLOUR_NAMES = tuple(COLOURS)


def check_against_cldr(annotations_path):
    """Fail where an emoji or a synonym is not what CLDR says it is."""
    with open(annotations_path, encoding="utf-8") as file:
        text = file.read()
    keywords = {}
    for character, words in re.findall(r'<annotation cp="([^"]+)"[^>]*>([^<]*)</annotation>', text):
        keywords.setdefault(character, set()).update(w.strip().lower() for w in words.split("|"))
    for entry in OBJECTS:
        known = keywords.get(entry.emoji, set()) | {w for k in keywords.get(entry.emoji, ()) for w in k.split()}
        for word in (entry.name,) + tuple(singular for singular, _ in entry.synonyms):
            if word not in known:
                raise ValueError(f"CLDR does not call {entry.emoji} '{word}' but {sorted(known)}")
