"""What controls a picture beside its words (ControlNet, T2I-Adapter), before there is a model: units of a
request, and the maps that preprocessors make of pictures. Imports no torch."""
