"""What fields may be, in words that a page says in its own language."""

from __future__ import annotations

from easel.remark import Remark, figure, remark

NUMBER = remark("number", "a number")
WHOLE_NUMBER = remark("whole_number", "a whole number")
YES_OR_NO = remark("yes_or_no", "true or false")
LAYERS = remark("from_to", "{low} to {high}", low=1, high=12)
NAME = remark("name", "a name")
WORD = remark("word", "a word")
NAMES = remark("names", "a list of names")
COLOUR = remark("colour", "a colour, such as #ffffff")
PICTURE_FILE = remark("picture_file", "a PNG, JPEG or WebP file")
BASE64_PICTURE = remark("base64_picture", "a picture in base64")
PICTURE_FOR_EACH_UNIT = remark("picture_for_unit", "a picture for each ControlNet unit, as base64")
ONE_PICTURE_FOR_EACH_UNIT = remark("one_picture_for_unit", "one picture for each unit")
SMALLER_THAN_SIDES = remark("smaller_than_sides", "less than width and height")
ONLY_TEXT = remark("only_text", "scripts of txt2img")
NOTHING = remark("nothing", "none")


def up_to(most: float) -> Remark:
    """At most so many of whatever the field has."""
    return remark("up_to", "up to {most}", most=figure(most))


def pixels(most: int) -> Remark:
    """At most so many pixels."""
    return remark("up_to_pixels", "up to {most} pixels", most=figure(most))


def counted_pictures(number: int) -> Remark:
    """So many pictures were sent."""
    return remark("counted_pictures", "{n} pictures", n=number)
