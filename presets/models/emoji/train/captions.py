"""Says what is in a scene, in the many ways a person might type it.

A caption may leave out the number or the ground; what it names is always true.
"""

from vocabulary import COLOUR_NAMES, NUMBERS, OBJECTS

ONE_KIND = (
    "{things} on a {colour} background", "{things} on a {colour} background", "{things} on a {colour} background",
    "{colour} background with {things}", "a {colour} background with {things}",
    "{things} on {colour}", "{things}, {colour} background", "{things} against a {colour} background",
    "{things} in front of a {colour} background", "a picture of {things} on a {colour} background",
)
NO_COLOUR = ("{things}", "{things}", "a picture of {things}", "an image of {things}", "just {things}", "{things} on a plain background")
ONLY_COLOUR = ("a {colour} background", "something on a {colour} background")
JOINS = ("{first} and {second}", "{first} and {second}", "{first} with {second}", "{first} next to {second}")


def article(noun):
    """English goes by sound: a unicorn, an octopus."""
    return "an" if noun[0] in "aeiou" and not noun.startswith("unicorn") else "a"


def name_things(index, count, random, number=True):
    """'three cats', 'a cat', or, without a number, 'cats'."""
    entry = OBJECTS[index]
    singular, plural = entry.name, entry.plural
    if entry.synonyms and random.random() < 0.2:
        singular, plural = entry.synonyms[random.integers(len(entry.synonyms))]
    if count == 1:
        if random.random() < 0.35:
            return f"one {singular}"
        return f"{article(singular)} {singular}" if random.random() < 0.9 else f"a single {singular}"
    if not number:
        return f"some {plural}" if random.random() < 0.2 else plural
    if random.random() < 0.06:
        return f"{count} {plural}"
    return f"{NUMBERS[count - 1]} {plural}"


def caption(scene, random, colour_share=0.85, number_share=0.88, empty_share=0.0):
    """One true caption of a scene (see scenes.Scene)."""
    if random.random() < empty_share:
        return ""
    colour = COLOUR_NAMES[scene.colour]
    if random.random() < 0.01:
        return ONLY_COLOUR[random.integers(len(ONLY_COLOUR))].format(colour=colour)
    number = random.random() < number_share
    kinds = list(scene.counts.items())
    random.shuffle(kinds)
    named = [name_things(index, count, random, number) for index, count in kinds]
    if len(named) == 2:
        things = JOINS[random.integers(len(JOINS))].format(first=named[0], second=named[1])
    else:
        things = named[0]
    templates = ONE_KIND if random.random() < colour_share else NO_COLOUR
    text = templates[random.integers(len(templates))].format(things=things, colour=colour)
    return text.replace("a orange", "an orange")


def plain_caption(name_index, count, colour_index):
    """The one fixed form used where captions must differ in a single word."""
    entry = OBJECTS[name_index]
    things = f"{NUMBERS[count - 1]} {entry.name if count == 1 else entry.plural}"
    return f"{things} on {article(COLOUR_NAMES[colour_index])} {COLOUR_NAMES[colour_index]} background"


def all_words():
    """Every word a caption can hold, for the tokenizer."""
    words = set("a an and on with in of to next front against just single some something one picture image background plain the , .".split())
    words.update(NUMBERS)
    words.update("123456")
    words.update(COLOUR_NAMES)
    for entry in OBJECTS:
        words.update((entry.name, entry.plural))
        for pair in entry.synonyms:
            words.update(pair)
    return sorted(words)
