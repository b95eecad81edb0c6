"""ControlNet and T2I-Adapter: pictures that say where things go, beside the words that say what they are.

`unit.py` is what a request says, `preprocessors.py` and `hint.py` make of its picture what a control model
sees, `control_file.py` reads the model, `control_models.py` keeps it, and `residuals.py` runs it before the
UNet. The first three import no torch.
"""
