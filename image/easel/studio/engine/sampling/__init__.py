"""Samplers and schedule types as A1111 1.10 means them: the same levels, the same formulas, the same noise.

`samplers.py` and `schedule_types.py` are the tables, which import no torch. `plan.py` makes of them what one
picture's sampling is: where it starts, which levels it walks, and the generator of `methods/` that asks for
denoised latents until it is through. Nothing here knows a UNet.

Where they come from: Euler, Heun and the Karras schedule arXiv 2206.00364, DPM2, DPM fast and DPM adaptive
2206.00927, DPM++ 2211.01095, Restart 2306.14878, DDIM 2010.02502, CFG++ 2406.08070, PLMS 2202.09778, UniPC
2302.04867, DEIS 2204.13902, LCM 2310.04378, Align Your Steps 2404.14507, the Beta schedule 2407.12173. The
forms of them, ancestral steps, LMS and the exponential schedules are those of k-diffusion
(crowsonkb/k-diffusion, MIT licence, Copyright (c) 2022 Katherine Crowson); `docs/reference/samplers.md` has
how near they are.
"""
