"""A face cut out of a picture as restorers were trained to see it, and laid back into its place.

They were trained on FFHQ: 512 pixels square, eyes, nose and mouth in the places of `TEMPLATE`
(facexlib's numbers, as A1111 takes them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIDE = 512
TEMPLATE = np.array([
    [192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043],
    [313.08905, 371.15118],
])  # fmt: skip
"""Left eye, right eye, nose, left and right corner of the mouth, in pixels."""
# What is outside of the picture; facexlib's.
_GREY = (132, 133, 135)
# The seam is hidden where a face's square fades out: facexlib's shares of its side.
_BORDER, _SOFT = 26, 8
Matrix = NDArray[np.float64]


def alignment(landmarks: NDArray[np.float64], template: NDArray[np.float64] = TEMPLATE) -> Matrix:
    """(2, 3): from the picture's pixels to a square's, turned, sized and moved as comes nearest to its
    `template` for the five `landmarks` (Umeyama, IEEE PAMI 13, 1991)."""
    centre, goal = landmarks.mean(axis=0), template.mean(axis=0)
    own, wanted = landmarks - centre, template - goal
    left, strengths, right = np.linalg.svd(wanted.T @ own)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(signs) @ right
    scale = (strengths * signs).sum() / (own**2).sum()
    return np.column_stack([scale * turn, goal - scale * turn @ centre])


def cut_face(image: Image.Image, matrix: Matrix) -> Image.Image:
    """The square of an RGB picture."""
    whole = np.vstack([matrix, [0, 0, 1]])
    return image.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, _centred(np.linalg.inv(whole)[:2]), Image.Resampling.BILINEAR,
        fillcolor=_GREY,
    )  # fmt: skip


def with_face(image: Image.Image, face: Image.Image, matrix: Matrix, share: float = 1.0) -> Image.Image:
    """The picture with the square in its place, its border fading out; `share` of it, 0 to 1."""
    soft = Image.new("L", (SIDE, SIDE))
    soft.paste(round(255 * share), (_BORDER, _BORDER, SIDE - _BORDER, SIDE - _BORDER))
    soft = soft.filter(ImageFilter.GaussianBlur(_SOFT))
    back = _centred(matrix)
    way = Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
    done = image.copy()
    done.paste(face.transform(image.size, *way), (0, 0), soft.transform(image.size, *way))
    return done


def _centred(matrix: Matrix) -> tuple[float, ...]:
    """For Pillow, which counts from the corner of a pixel where landmarks count from its middle."""
    moved = matrix.copy()
    moved[:, 2] += 0.5 - matrix[:, :2] @ np.array([0.5, 0.5])
    return tuple(moved.ravel())
