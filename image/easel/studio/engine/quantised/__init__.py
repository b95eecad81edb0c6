"""Weights that stay as small in memory as they are in the file, and are expanded layer by layer when used.

A transformer of twelve thousand million numbers is 24 GB in half precision; people have it in eight bits (12
GB) or four (7 GB) because their card is small. `scales.choose` finds such weights among a file's tensors,
`PackedWeight` carries them through the conversion of names, `PackedLinear` draws with them.
"""

from easel.studio.engine.quantised.eight_bits import EightBitPacking
from easel.studio.engine.quantised.four_bits import FourBitPacking
from easel.studio.engine.quantised.ggml import GgmlPacking
from easel.studio.engine.quantised.packed_modules import keep_packed, laid_open
from easel.studio.engine.quantised.packed_weight import PackedWeight
from easel.studio.engine.quantised.packing import Packing, plane_shapes
from easel.studio.engine.quantised.svdquant import SvdquantPacking
