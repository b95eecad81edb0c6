"""Noise as A1111 makes it: sources of numbers, and what of them a picture's sampler is given, in order."""

from easel.studio.engine.noise.normals import NormalSource, normal_source
from easel.studio.engine.noise.picture_noise import PictureNoise, laid_into, slerp
