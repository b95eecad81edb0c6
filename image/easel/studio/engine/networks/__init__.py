"""Networks: small files that change what a checkpoint draws, for those who ask (docs/decisions/0015, 0043).

`names` tells which layer a tensor belongs to, `kinds` which formula it is part of; each formula is a file:
`low_rank` (LoRA, LoCon), `hadamard` (LoHa), `kronecker` (LoKr), `decomposed` (DoRA), `difference` (full,
norms, biases), `generalized` (GLoRA), `rescaled` (IA³), `rotated` (OFT), `butterfly` (BOFT). `network_file`
reads a file, `adapters` has the networks at work. This file imports no torch: prompts are read beside it.
"""
